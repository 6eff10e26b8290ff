"""What happens to the lab while it works: one disturbance every few seconds, drawn from a seeded generator, many with a
second half that follows later (power on again, end the capture ...)."""
import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter

from lab import ENDS

FILTERS = ["", "", "icmp or arp", "udp port 5202", "tcp and host 10.0.1.2", "ether host 02:00:00:00:01:00", "greater 1000",
           "vlan or not ip"]
WEIGHTS = {"kill_peer": 4, "restart_ports": 3, "freeze_peer": 3, "capture": 6, "power": 4, "link": 2, "bench": 2, "show": 2,
           "vanish": 2}


class Disturbances:
    def __init__(self, lab, peers, random, log, problem):
        self.lab, self.peers, self.random = lab, peers, random
        self.log, self.problem = log, problem
        self.later = []  # (time, action, arguments): second halves
        self.running = []  # (name, process, time of its end at the latest, whether its status counts)
        self.captured = {}  # process of a capture -> its link ends, each of which can be captured once at a time
        self.frozen = set()
        self.counts = Counter()

    def step(self):
        """One disturbance; those that need an unfrozen peer find another victim another time."""
        name = self.random.choices(list(WEIGHTS), WEIGHTS.values())[0]
        self.counts[name] += 1
        getattr(self, name)()

    def run_due(self, everything=False):
        now = time.monotonic()
        due = [entry for entry in self.later if everything or entry[0] <= now]
        self.later = [entry for entry in self.later if entry not in due]
        for _, action, arguments in sorted(due, key=lambda entry: entry[0]):
            action(*arguments)
        for entry in list(self.running):
            name, process, limit, counts = entry
            if process.poll() is not None:
                # Told to end before it had started is no failure.
                if counts and process.returncode not in (0, -signal.SIGINT):
                    self.problem(f"{name} ended with {process.returncode}: {process.stderr.read().strip()[-300:]}")
                process.stderr.close()
                self.running.remove(entry)
            elif now > limit:
                self.problem(f"{name} does not end")
                process.kill()

    def settle(self):
        """Undoes what is half done and waits for what runs."""
        self.run_due(everything=True)
        while self.running:
            for _, process, _, _ in self.running:
                if process.poll() is None and not getattr(process, "told", False):
                    process.told = True
                    process.send_signal(signal.SIGINT)
            self.run_due()
            time.sleep(0.05)
        for peer in self.peers:
            peer.ensure()

    def after(self, least, most, action, *arguments):
        self.later.append((time.monotonic() + self.random.uniform(least, most), action, arguments))

    def background(self, name, command, limit, counts):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        self.running.append((name, process, time.monotonic() + limit, counts))
        return process

    # --- testpmd --------------------------------------------------------------------------------------------------------
    def kill_peer(self):
        victims = self.peers if self.random.random() < 0.2 else [self.random.choice(self.peers)]
        for peer in victims:
            peer.kill()
            self.frozen.discard(peer)
            self.after(0, 2, peer.ensure)
        self.log(f"killed testpmd {' '.join(p.node for p in victims)}")

    def restart_ports(self):
        peer = self.random.choice(self.peers)
        if peer in self.frozen or peer.process.poll() is not None:
            return
        self.log(f"restarting the ports of {peer.node}")
        peer.restart_ports()

    def freeze_peer(self):
        peer = self.random.choice(self.peers)
        if peer.process.poll() is not None:
            return
        self.log(f"freezing {peer.node}")
        peer.process.send_signal(signal.SIGSTOP)
        self.frozen.add(peer)
        self.after(0.3, 3, self.thaw, peer)

    def thaw(self, peer):
        if peer in self.frozen:
            self.frozen.discard(peer)
            peer.process.send_signal(signal.SIGCONT)

    # --- captures -------------------------------------------------------------------------------------------------------
    def capture(self):
        busy = {end for process, ends in self.captured.items() if process.poll() is None for end in ends}
        free = [end for end in ENDS if end not in busy]
        if not free:
            return
        ends = self.random.sample(free, min(len(free), self.random.randint(1, 3)))
        text = self.random.choice(FILTERS)
        options = ["-f", text] if text else []
        if self.random.random() < 0.5:
            options += ["-s", "96"]
        if self.random.random() < 0.2:
            options += ["-c", "1000"]
        killed = self.random.random() < 0.25
        self.log(f"capturing {' '.join(ends)} {text!r}{', to be killed' if killed else ''}")
        process = self.start_capture(ends, options, not killed)
        self.after(0.5, 6, self.end_capture, process, signal.SIGKILL if killed else signal.SIGINT)

    def start_capture(self, ends, options, counts):
        process = self.background("capture", self.lab.command("capture", *ends, "-w", "-", *options), 30, counts)
        self.captured = {p: e for p, e in self.captured.items() if p.poll() is None}
        self.captured[process] = ends
        return process

    def warm_up(self):
        """What takes most memory in the engine: captures of everything and a benchmark, at once."""
        for i in range(0, len(ENDS), 3):
            self.start_capture(ENDS[i:i + 3], [], True)
        self.background("bench", self.lab.command("bench", "--quick", "--sizes", "64", "--rounds", "1", "--duration",
                                                  "0.3", "h1", "h2"), 60, False)
        time.sleep(5)
        self.settle()

    @staticmethod
    def end_capture(process, how):
        if process.poll() is None:
            process.told = True
            os.kill(process.pid, how)

    # --- the router and links -------------------------------------------------------------------------------------------
    def power(self):
        action = self.random.choice(["off", "off", "reset", "reset", "pause"])
        self.log(f"router: {action}")
        self.call_power("off", "--force") if action == "off" else self.call_power(action)
        if action != "reset":
            self.after(0.2, 4, self.call_power, "on" if action == "off" else "resume")

    def call_power(self, action, *options):
        status, output = self.lab.call("power", action, "r1", *options)
        # It may be off or paused already when it is to be paused: refused is fine, no answer is not.
        if status not in (0, 2):
            self.problem(f"power {action}: {output.strip()}")

    def revive_router(self):
        for _ in range(3):
            state = next(n["state"] for n in self.lab.inspect()["nodes"] if n["name"] == "r1")
            if state == "running":
                return
            self.call_power("resume" if state == "paused" else "on")
        self.problem(f"the router is {state} and does not come up")

    def link(self):
        host = self.random.choice(["h2", "h3"])
        self.log(f"link of {host} down")
        self.set_link(host, "down")
        self.after(0.2, 3, self.set_link, host, "up")

    def set_link(self, host, state):
        subprocess.run(self.lab.inside(host, "ip", "link", "set", "eth1", state), check=False)
        if state == "up":
            subprocess.run(self.lab.inside(host, "ip", "route", "replace", "default", "via",
                                           "10.0.1.254" if host == "h2" else "10.0.2.254"), check=False)

    # --- other clients of the engine ------------------------------------------------------------------------------------
    def bench(self):
        """Puts generators in the place of two ports, and sometimes dies while it does."""
        ends = self.random.choice([("h1", "h3"), ("h1", "h2"), ("h3", "h1")])
        self.log(f"bench {' '.join(ends)}")
        # Without the router there is nothing to measure, so its status tells nothing.
        process = self.background("bench", self.lab.command("bench", "--quick", "--sizes", "64", "--rounds", "1",
                                                            "--duration", "0.3", *ends), 60, False)
        if self.random.random() < 0.5:
            self.after(0.1, 2, self.end_capture, process, signal.SIGKILL)

    def vanish(self):
        """A client that is gone before its answer."""
        verb, args = self.random.choice([("capture", {"ports": ["h3:eth1"]}), ("inspect", {}),
                                         ("bench", {"ends": [{"port": "h1:eth1"}, {"port": "h2:eth1"}]}),
                                         ("power", {"action": "pause", "node": "r1"})])
        self.log(f"a client asks for {verb} and is gone")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.lab.run_directory / "control.sock"))
            client.sendall(json.dumps({"id": 1, "verb": verb, "args": args}).encode() + b"\n")
        if verb == "power":
            self.after(0.2, 2, self.call_power, "resume")

    def show(self):
        status, output = self.lab.call("exec", "--node", "r1", "--", "show", "interface", timeout=40)
        if status is None:
            self.problem(f"the router's console: {output}")
