#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "tools/capture/file_sink.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

namespace {

struct CaptureArguments {
  LabSelection selection;
  std::vector<std::string> ends;
  std::string filter;
  std::string file;
  std::uint64_t count = 0;
  unsigned snaplen = 0;
};

/// SIGINT and SIGTERM as a descriptor: they end the capture, they do not kill it.
vswitch::FileDescriptor ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return vswitch::FileDescriptor(::signalfd(-1, &set, SFD_CLOEXEC));
}

int capture(const CaptureArguments& arguments) {
  const vswitch::FileDescriptor signals = ending_signals();
  control::Client client = arguments.selection.connect();
  const vswitch::FileDescriptor stream = client.upgrade("capture", {{"ports", arguments.ends},
                                                                    {"filter", arguments.filter},
                                                                    {"count", arguments.count},
                                                                    {"snaplen", arguments.snaplen}});
  FileSink sink({.path = arguments.file});
  bool ending = false;
  for (;;) {
    pollfd waits[2]{{stream.get(), POLLIN, 0}, {ending ? -1 : signals.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) continue;
    if (waits[1].revents != 0) {
      // Half-closing asks the engine for what it still has, and the statistics.
      ::shutdown(stream.get(), SHUT_WR);
      ending = true;
    }
    if (waits[0].revents != 0 && !sink.read_from(stream.get())) break;
  }
  sink.finish();
  fmt::print(stderr, "{} frames captured to {}, {} dropped by the capture{}\n", sink.packets(), sink.path(),
             sink.dropped(),
             sink.complete() ? "" : "; the engine ended in mid-capture, the file is whole up to there");
  return sink.complete() ? 0 : 1;
}

}  // namespace

void add_capture(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("capture", "record the traffic of link ends of a running lab as pcapng");
  verb->footer(
      "Both directions, nanosecond time stamps, several link ends in one file. Ctrl-C ends it.\nExamples:\n"
      "  patchbay capture r1:eth0 -f icmp -w ping.pcapng\n  patchbay capture r1:eth0 r1:eth1 -w - | "
      "wireshark -k -i -");
  auto* arguments = new CaptureArguments;
  arguments->selection.add_options(*verb);
  verb->add_option("ends", arguments->ends, "link ends, such as r1:eth0")->required();
  verb->add_option("-f,--filter", arguments->filter,
                   "capture filter in libpcap syntax, such as 'icmp or arp'");
  verb->add_option("-w,--write", arguments->file, "file to write, - for standard output")->required();
  verb->add_option("-c,--count", arguments->count, "end after so many frames");
  verb->add_option("-s,--snaplen", arguments->snaplen, "bytes kept of each frame; default: all");
  verb->callback([arguments, &status] { status = capture(*arguments); });
}

}  // namespace patchbay::tools::cli
