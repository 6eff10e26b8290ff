"""The lab of the soak: its file, the patchbay program, and what /proc says of its engine."""
import ctypes
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

#   xa:eth0 ---- wire, lossless ---- xb:eth0     testpmd xa and xb send what they receive at one interface out of the
#   xa:eth1 ---------- ring -------- xb:eth1     other: frames circle, in both directions. h4 is silent, for a broadcast
#                       |                        would circle for ever; it receives what is flooded.
#                    h4:eth1
#
#   h1:eth1 --- lan --- h2:eth1                  h1 to h2: TCP over the bridge
#                |
#             r1:eth0
#             r1:eth1 ---- wire ---- h3:eth1     h1 to h3: UDP through the router
LAB = """name: {name}
topology:
  nodes:
    ring: {{kind: bridge}}
    lan: {{kind: bridge}}
    xa: {{kind: external}}
    xb: {{kind: external}}
    h1: {{kind: linux, exec: ["ip route add default via 10.0.1.254"]}}
    h2: {{kind: linux, exec: ["ip route add default via 10.0.1.254"]}}
    h3: {{kind: linux, exec: ["ip route add default via 10.0.2.254"]}}
    h4: {{kind: linux, exec: ["sysctl -qw net.ipv6.conf.all.disable_ipv6=1"]}}
    r1: {{kind: router}}
  links:
    - {{endpoints: ["xa:eth0", "xb:eth0"], mtu: 1500, vars: {{patchbay: {{lossless: true}}}}}}
    - {{endpoints: ["xa:eth1", "ring:p1"], mtu: 1500}}
    - {{endpoints: ["xb:eth1", "ring:p2"], mtu: 1500}}
    - {{endpoints: ["h4:eth1", "ring:p3"], mtu: 1500}}
    - {{endpoints: ["h1:eth1", "lan:p1"], ipv4: [10.0.1.1/24, ""], mtu: 1500}}
    - {{endpoints: ["h2:eth1", "lan:p2"], ipv4: [10.0.1.2/24, ""], mtu: 1500}}
    - {{endpoints: ["r1:eth0", "lan:p3"], ipv4: [10.0.1.254/24, ""], mtu: 1500}}
    - {{endpoints: ["r1:eth1", "h3:eth1"], ipv4: [10.0.2.254/24, 10.0.2.3/24], mtu: 1500}}
"""
ENDS = ["xa:eth0", "xa:eth1", "xb:eth0", "xb:eth1", "h1:eth1", "h2:eth1", "h3:eth1", "r1:eth0", "r1:eth1"]
ADDRESSES = {"h1": "10.0.1.1", "h2": "10.0.1.2", "h3": "10.0.2.3"}


PR_SET_CHILD_SUBREAPER = 36


class Lab:
    def __init__(self, patchbay, directory):
        # The engine, whose parent ends, becomes our child: then we learn how it ended.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.ending = None
        self.patchbay = str(patchbay)
        self.name = f"soak{os.getpid()}"
        self.file = Path(directory) / f"{self.name}.clab.yml"
        self.file.write_text(LAB.format(name=self.name))
        self.run_directory = Path("/run/patchbay") / self.name
        self.pid = None

    def command(self, verb, *arguments):
        return [self.patchbay, verb, "--name", self.name, *arguments]

    def call(self, verb, *arguments, timeout=60):
        """Exit status and output of a command of patchbay; status None if it did not end in time."""
        try:
            done = subprocess.run(self.command(verb, *arguments), capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return None, f"patchbay {verb}: no answer within {timeout} s"
        return done.returncode, done.stdout + done.stderr

    def inside(self, node, *command):
        return ["ip", "netns", "exec", f"patchbay-{self.name}-{node}", *command]

    def deploy(self, workers):
        subprocess.run([self.patchbay, "deploy", "-t", str(self.file), "--workers", str(workers)], check=True,
                       stdout=subprocess.DEVNULL)
        self.pid = int((self.run_directory / "pid").read_text())

    def socket(self, node, interface):
        return str(self.run_directory / "sockets" / node / f"{interface}.sock")

    def inspect(self):
        status, output = self.call("inspect", "--format", "json", timeout=30)
        if status != 0:
            raise RuntimeError(f"inspect: {output.strip()}")
        return json.loads(output)

    def alive(self):
        if self.ending is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                code = os.waitstatus_to_exitcode(status)
                self.ending = f"status {code}" if code >= 0 else signal.Signals(-code).name
        return self.ending is None

    def resources(self):
        """Of the engine: memory of its own and as a whole in KiB, threads, descriptors, mappings."""
        process = Path("/proc") / str(self.pid)
        status = (process / "status").read_text()
        value = lambda key: int(re.search(rf"^{key}:\s+(\d+)", status, re.M).group(1))
        return {"anonymous": value("RssAnon"), "resident": value("VmRSS"), "threads": value("Threads"),
                "descriptors": len(os.listdir(process / "fd")),
                "mappings": (process / "maps").read_text().count("\n")}

    def pings(self, source, destination, seconds):
        """Whether a ping is answered within a time; how long that took."""
        start = time.monotonic()
        while (left := start + seconds - time.monotonic()) > 0:
            command = self.inside(source, "ping", "-n", "-q", "-c", "1", "-W", "1", ADDRESSES[destination])
            try:
                if subprocess.run(command, capture_output=True, timeout=left + 5).returncode == 0:
                    return time.monotonic() - start
            except subprocess.TimeoutExpired:
                break
            time.sleep(0.1)
        return None

    def destroy(self, log):
        """What is wrong with the end of the lab: a list of sentences."""
        problems = []
        start = time.monotonic()
        status, output = self.call("destroy", timeout=60)
        took = time.monotonic() - start
        log(f"destroyed in {took:.2f} s")
        if status != 0:
            problems.append(f"destroy: {output.strip()}")
        if took > 5:
            problems.append(f"destroy took {took:.1f} s")
        time.sleep(0.2)
        return problems + self.leftovers()

    def leftovers(self):
        problems = []
        if self.alive():
            problems.append(f"the engine (process {self.pid}) is left")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"patchbay") and self.name.encode() in words:
                problems.append(f"process {process.name} is left: {b' '.join(words).decode()}")
        if self.run_directory.exists():
            problems.append(f"{self.run_directory} is left")
        for listing, what in ((["ip", "netns", "list"], "namespace"), (["ip", "-o", "link"], "interface"),
                              (["cat", "/proc/net/unix"], "socket")):
            output = subprocess.run(listing, capture_output=True, text=True).stdout
            problems += [f"a {what} is left: {line.strip()}" for line in output.splitlines() if self.name in line]
        return problems

    def kill(self):
        if self.pid is not None and self.alive():
            os.kill(self.pid, signal.SIGKILL)


def imbalances(listing):
    """What frames were not accounted for, in the sentences of the engine and by our own sums."""
    problems = list(listing["imbalances"])
    for segment in listing["segments"]:
        for port in segment["ports"]:
            into, out = port["in"], port["out"]
            if into["frames"] != into["forwarded"] + sum(into["dropped"].values()):
                problems.append(f"{port['name']}: frames in do not balance: {into}")
            if out["offered"] != out["delivered"] + sum(out["dropped"].values()):
                problems.append(f"{port['name']}: frames out do not balance: {out}")
    return problems


def ports(listing):
    return {port["name"]: port for segment in listing["segments"] for port in segment["ports"]}
