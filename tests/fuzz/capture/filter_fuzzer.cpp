// Any text as a capture filter, run on any frame: an error with a text or the decision that libpcap makes on
// the whole frame in one piece, and no read outside the frame.
//
// Input: an expression, a zero byte, a frame. In the expression, bytes from 0x80 on stand for words of the
// language, so that mutations of it often still parse.
#include <netdb.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vswitch/capture/filter.h"
#include "vswitch/capture/frame_copy.h"

/// Stands in for the C library's: a fuzzer asks no name server.
extern "C" int getaddrinfo(const char* /*node*/, const char* /*service*/, const addrinfo* /*hints*/,
                           addrinfo** /*result*/) {
  return EAI_NONAME;
}

namespace {

using patchbay::vswitch::FrameView;
using patchbay::vswitch::kHeaderBytes;
using patchbay::vswitch::Piece;
namespace capture = patchbay::vswitch::capture;

constexpr std::array<std::string_view, 64> kWords{"and",
                                                  "or",
                                                  "not",
                                                  "(",
                                                  ")",
                                                  "host",
                                                  "net",
                                                  "port",
                                                  "src",
                                                  "dst",
                                                  "ether",
                                                  "ip",
                                                  "ip6",
                                                  "tcp",
                                                  "udp",
                                                  "icmp",
                                                  "arp",
                                                  "vlan",
                                                  "mpls",
                                                  "pppoes",
                                                  "len",
                                                  "less",
                                                  "greater",
                                                  "proto",
                                                  "[",
                                                  "]",
                                                  ":1]",
                                                  ":2]",
                                                  ":4]",
                                                  "+",
                                                  "-",
                                                  "*",
                                                  "/",
                                                  "%",
                                                  "&",
                                                  "|",
                                                  "^",
                                                  "<<",
                                                  ">>",
                                                  "=",
                                                  "!=",
                                                  "<",
                                                  ">=",
                                                  "0",
                                                  "1",
                                                  "2",
                                                  "12",
                                                  "0xfffffffc",
                                                  "65535",
                                                  "0x7fffffff",
                                                  "100000",
                                                  "80",
                                                  "10.0.0.1",
                                                  "fe80::1",
                                                  "10.0.0.0/8",
                                                  "portrange 1-1024",
                                                  "broadcast",
                                                  "multicast",
                                                  "protochain",
                                                  "geneve",
                                                  "02:00:00:00:00:01",
                                                  "tcp-syn",
                                                  "tcpflags",
                                                  "decnet"};

std::string expand(std::span<const unsigned char> text) {
  std::string expression;
  for (const unsigned char c : text) {
    if (c < 0x80) {
      expression += static_cast<char>(c);
    } else {
      expression.append(" ").append(kWords[c % kWords.size()]).append(" ");
    }
  }
  return expression;
}

/// libpcap's own decision, on the whole frame in one piece.
bool reference(const std::string& expression, std::span<const unsigned char> frame) {
  pcap_t* handle = pcap_open_dead(DLT_EN10MB, patchbay::vswitch::kMaxFrameBytes);
  bpf_program program{};
  const auto compile = [&](int optimize) {
    if (pcap_compile(handle, &program, expression.c_str(), optimize, PCAP_NETMASK_UNKNOWN) != 0) std::abort();
  };
  compile(0);
  if (program.bf_len <= capture::kMostOptimized) {
    pcap_freecode(&program);
    compile(1);
  }
  pcap_pkthdr header{};
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  const bool matches = pcap_offline_filter(&program, &header, frame.data()) != 0;
  pcap_freecode(&program);
  pcap_close(handle);
  return matches;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::span input(data, size);
  const auto end = std::find(input.begin(), input.end(), 0);
  const std::string expression = expand({input.begin(), end});
  std::vector<unsigned char> frame(end == input.end() ? end : end + 1, input.end());
  if (frame.empty()) frame.assign(60, 0);

  FrameView view;
  view.length = static_cast<std::uint32_t>(frame.size());
  const auto bytes = std::as_bytes(std::span(frame));
  std::copy_n(bytes.begin(), std::min(bytes.size(), kHeaderBytes), view.header.begin());
  const Piece tail[] = {bytes.subspan(std::min(bytes.size(), kHeaderBytes))};
  view.tail = tail;
  try {
    const auto filter = std::make_unique<capture::Filter>(expression);
    const bool matches = filter->matches(view);
    // Behind "geneve", libpcap's programs read scratch memory that not every path has written, and its
    // interpreter does not clear it: what they decide then is chance.
    if (expression.find("geneve") != std::string::npos) return 0;
    if (matches != (expression.empty() || reference(expression, frame))) std::abort();
  } catch (const capture::FilterError& error) {
    if (std::string(error.what()).empty()) std::abort();
  }
  return 0;
}
