#include "vswitch/capture/filter.h"

#include <pcap/bpf.h>

#include <algorithm>

#include "vswitch/capture/filter_program.h"
#include "vswitch/capture/frame_copy.h"

namespace patchbay::vswitch::capture {
namespace {

struct ClosePcap {
  void operator()(pcap_t* handle) const noexcept { pcap_close(handle); }
};

[[noreturn]] void refuse(const std::string& expression, const std::string& reason) {
  constexpr std::size_t kShown = 200;
  std::string shown = expression.substr(0, kShown);
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }, '?');
  if (expression.size() > kShown) shown += "...";
  throw FilterError("capture filter \"" + shown + "\": " + reason +
                    ". Write it in libpcap syntax, such as \"icmp\" or \"tcp port 80 and host 10.0.1.2\" "
                    "(man 7 pcap-filter)");
}

}  // namespace

void Filter::FreeProgram::operator()(bpf_program* program) const noexcept {
  pcap_freecode(program);
  delete program;
}

Filter::Filter(const std::string& expression) {
  if (expression.empty()) return;
  compile(expression);
  reach_ = program_reach({program_->bf_insns, program_->bf_len});
  if (reach_ > kHeaderBytes) scratch_.resize(reach_);
}

Filter::~Filter() = default;

void Filter::compile(const std::string& expression) {
  if (expression.size() > kMaxFilterBytes) {
    refuse(expression, "it is " + std::to_string(expression.size()) + " bytes long, the limit is " +
                           std::to_string(kMaxFilterBytes));
  }
  if (expression.find('\0') != std::string::npos) refuse(expression, "it contains a zero byte");
  const std::unique_ptr<pcap_t, ClosePcap> handle(pcap_open_dead(DLT_EN10MB, kMaxFrameBytes));
  if (!handle) refuse(expression, "libpcap has no memory left");
  const auto compiled = [&](bool optimize) {
    auto program = std::make_unique<bpf_program>();
    if (pcap_compile(handle.get(), program.get(), expression.c_str(), optimize ? 1 : 0,
                     PCAP_NETMASK_UNKNOWN) != 0) {
      refuse(expression, pcap_geterr(handle.get()));
    }
    return std::unique_ptr<bpf_program, FreeProgram>(program.release());
  };
  program_ = compiled(false);
  if (program_->bf_len <= kMostOptimized) program_ = compiled(true);
}

bool Filter::matches(const FrameView& frame) noexcept {
  if (!program_) return true;
  std::span<const std::byte> bytes = frame.header_bytes();
  const std::size_t wanted = std::min<std::size_t>(reach_, frame.length);
  if (wanted > bytes.size())
    bytes = std::span(scratch_).first(copy_frame(frame, std::span(scratch_).first(wanted)));
  return bpf_filter(program_->bf_insns, reinterpret_cast<const u_char*>(bytes.data()), frame.length,
                    static_cast<u_int>(bytes.size())) != 0;
}

}  // namespace patchbay::vswitch::capture
