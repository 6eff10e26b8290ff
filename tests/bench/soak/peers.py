"""Programs around the lab: testpmd as the peer of an external node, and iperf3 between hosts. They are started again
whenever they end."""
import os
import signal
import subprocess
import time
from pathlib import Path

QUEUE = 1024


def end(process, signal_number=signal.SIGTERM, patience=5):
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal_number)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Testpmd:
    """An external node's peer: what arrives at one interface leaves by the other. Frames of its own start the circle; the
    addresses of each direction are always seen from the same side, so the bridge forwards them by its table."""

    def __init__(self, lab, node, number, cpu, directory):
        self.lab, self.node, self.cpu, self.directory = lab, node, cpu, directory
        self.macs = [f"02:00:00:00:0{number}:0{side}" for side in range(2)]
        self.log_path = Path(directory) / f"{node}.log"
        self.process = None
        self.starts = 0
        self.seen = 0

    def start(self):
        command = ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "--no-shconf", "-m", "96", "--single-file-segments",
                   "--no-pci", "--no-telemetry", f"--file-prefix={self.lab.name}-{self.node}", "-l", "0,1",
                   f"--main-lcore={1 - self.cpu}"]
        command += [f"--vdev=virtio_user{i},path={self.lab.socket(self.node, f'eth{i}')},queues=1,queue_size={QUEUE},"
                    f"mac={mac}" for i, mac in enumerate(self.macs)]
        command += ["--", "-i", "--nb-cores=1", f"--rxd={QUEUE}", f"--txd={QUEUE}", "--total-num-mbufs=8192",
                    "--disable-link-check", "--no-lsc-interrupt", "--no-mlockall", f"--eth-peer=0,{self.macs[1]}",
                    f"--eth-peer=1,{self.macs[0]}"]
        log = open(self.log_path, "w")
        self.seen = 0
        self.starts += 1
        self.checksum = "off"  # of received UDP datagrams
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, "RUNTIME_DIRECTORY": str(self.directory)})
        log.close()
        if self.expect("testpmd> ", 60):
            self.forward()

    def expect(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            content = self.log_path.read_text(errors="replace")
            at = content.find(text, self.seen)
            if at >= 0:
                self.seen = at + len(text)
                return True
            time.sleep(0.05)
        return False

    def command(self, text, seconds=20):
        """False if it is not answered, which ends a testpmd that hangs."""
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except OSError:
            return False
        if self.expect("testpmd> ", seconds):
            return True
        self.kill()
        return False

    def forward(self):
        for line in ("set fwd io", "set txpkts 60", "start tx_first 16"):
            if not self.command(line):
                return

    def restart_ports(self):
        # Only another feature makes the driver set its rings up anew.
        self.checksum = "off" if self.checksum == "on" else "on"
        for line in ("stop", "port stop all", *(f"port config {i} rx_offload udp_cksum {self.checksum}" for i in range(2)),
                     "port start all"):
            if not self.command(line):
                return
        self.forward()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ensure(self):
        if self.process is None or self.process.poll() is not None:
            self.start()

    def stop(self):
        end(self.process)


class Iperf:
    """A stream that never ends: server and client, each started again when it is gone."""

    def __init__(self, lab, source, destination, address, port, options, directory):
        self.commands = {
            "server": lab.inside(destination, "iperf3", "-s", "-p", str(port)),
            "client": lab.inside(source, "iperf3", "-c", address, "-p", str(port), "-t", "3600", *options),
        }
        self.log = Path(directory) / f"iperf-{port}.log"
        self.processes = {}

    def ensure(self):
        if len(self.processes) == 2 and all(p.poll() is None for p in self.processes.values()):
            return
        self.stop()  # a server holds on to a client that is gone
        for role, command in self.commands.items():
            with open(self.log, "a") as log:
                self.processes[role] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                        stderr=subprocess.STDOUT)
            time.sleep(0.2)  # the server first

    def stop(self):
        for process in self.processes.values():
            end(process, signal.SIGKILL)
