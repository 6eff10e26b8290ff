#define ALLOW_EXPERIMENTAL_API  // rte_bpf_convert

#include "vswitch/capture/filter.h"

#include <pcap/bpf.h>
#include <rte_bpf.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "vswitch/capture/filter_program.h"
#include "vswitch/capture/frame_copy.h"

namespace patchbay::vswitch::capture {
namespace {

struct ClosePcap {
  void operator()(pcap_t* handle) const noexcept { pcap_close(handle); }
};
struct FreeConverted {
  void operator()(rte_bpf_prm* parameters) const noexcept { rte_free(parameters); }
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

void Filter::DestroyBpf::operator()(rte_bpf* bpf) const noexcept {
  rte_bpf_destroy(bpf);
}

Filter::Filter(const std::string& expression) {
  if (expression.empty()) return;
  compile(expression);
  const FilterProgram program(program_->bf_insns, program_->bf_len);
  reach_ = program_reach(program);
  if (reach_ > kHeaderBytes) scratch_.resize(reach_);
  engine_ = Engine::interpreter;
  if (runs_native(program)) make_native();
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

void Filter::make_native() {
  // Fails without an EAL, whose memory it allocates from; the interpreter serves then.
  const std::unique_ptr<rte_bpf_prm, FreeConverted> converted(rte_bpf_convert(program_.get()));
  if (!converted) return;
  std::unique_ptr<rte_bpf, DestroyBpf> bpf(rte_bpf_load(converted.get()));
  if (!bpf) return;
  rte_bpf_jit jit{};
  if (rte_bpf_get_jit(bpf.get(), &jit) != 0 || jit.func == nullptr) return;
  bpf_ = std::move(bpf);
  native_ = jit.func;
  mbuf_ = std::make_unique<rte_mbuf>();
  engine_ = Engine::native;
}

bool Filter::matches(const FrameView& frame) noexcept {
  if (engine_ == Engine::match_all) return true;
  std::span<const std::byte> bytes = frame.header_bytes();
  const std::size_t wanted = std::min<std::size_t>(reach_, frame.length);
  if (wanted > bytes.size())
    bytes = std::span(scratch_).first(copy_frame(frame, std::span(scratch_).first(wanted)));
  if (native_ == nullptr) {
    return bpf_filter(program_->bf_insns, reinterpret_cast<const u_char*>(bytes.data()), frame.length,
                      static_cast<u_int>(bytes.size())) != 0;
  }
  // Loads beyond data_len go through __rte_pktmbuf_read(), which follows `next` up to pkt_len: there is no
  // next, so no load may pass data_len and stay within pkt_len. `wanted` sees to that, unless the frame is
  // shorter than it says.
  mbuf_->buf_addr = const_cast<std::byte*>(bytes.data());
  mbuf_->data_len = static_cast<std::uint16_t>(bytes.size());
  mbuf_->pkt_len = bytes.size() < wanted ? static_cast<std::uint32_t>(bytes.size()) : frame.length;
  return native_(mbuf_.get()) != 0;
}

}  // namespace patchbay::vswitch::capture
