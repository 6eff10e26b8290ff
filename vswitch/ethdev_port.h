// A DPDK ethdev as a port: an interface of the host (net_af_packet), a pcap file to replay or to
// record into (net_pcap), shared memory with another DPDK program (net_memif), or whatever else DPDK has a
// virtual device for.
//
// Received mbufs stay with the port until the switch is done with them; the one copy of a frame is made where
// it is delivered. Frames that leave are copied into mbufs of a pool of the port's own.
//
// Most of these drivers cannot tell that a frame has come, so a sleeping worker is woken by a timer: from
// every 0.1 ms after traffic to every kLongestNap when nothing comes. That is how late the first frame can
// be.
//
// Threads: as for every port. The constructor, start() and the destructor are for the engine's thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"

struct rte_mbuf;
struct rte_mempool;

namespace patchbay::vswitch {

struct EthdevConfig {
  std::string port_name;  // link end, such as "up:port"
  std::string devargs;    // as DPDK's programs take them after --vdev: "net_af_packet0,iface=eth1"
  unsigned mtu = 1500;    // of the link; a device that is set to less is given it
};

class EthdevPort final : public Port {
 public:
  static constexpr std::chrono::milliseconds kLongestNap{5};
  static constexpr unsigned kMaxMtu = 9700;

  /// Makes the device, with one queue each way. Precondition: the EAL runs. Throws std::runtime_error with
  /// the cause and the way out.
  explicit EthdevPort(const EthdevConfig& config);
  /// Takes the device away.
  ~EthdevPort() override;

  /// Starts it, in promiscuous mode; until then nothing comes, and what is sent is dropped as not_ready.
  /// Once, on the engine's thread. Throws as above.
  void start();

  void pull(Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return timer_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  /// What lies behind the device does not learn of it.
  void set_link(bool /*up*/) override {}

  /// Of DPDK's driver: "net_af_packet". Constant.
  [[nodiscard]] const std::string& driver() const noexcept { return driver_; }
  /// Whether the device has a carrier now. The engine's thread.
  [[nodiscard]] bool has_carrier() const noexcept;

 private:
  void set_up(const EthdevConfig& config);
  /// For error texts.
  [[nodiscard]] std::string subject() const;
  void tear_down() noexcept;
  static void show(const rte_mbuf& frame, Burst& burst) noexcept;
  /// Takes from the device what held_ has room for.
  void receive() noexcept;
  [[nodiscard]] rte_mbuf* copy(const FrameView& frame) noexcept;
  void set_timer(std::chrono::nanoseconds after) noexcept;

  std::string devargs_;
  std::string device_;  // its name
  std::string driver_;
  std::size_t longest_frame_;  // that leaves: bytes; others are dropped as too_long
  std::uint16_t id_ = 0;       // DPDK's
  bool probed_ = false;
  std::atomic<bool> started_{false};
  rte_mempool* pool_ = nullptr;

  FileDescriptor timer_;

  // Of the worker that owns the source:
  std::array<rte_mbuf*, kBurstFrames> held_{};  // received, in order, and not consumed yet
  std::size_t held_count_ = 0;
  std::chrono::nanoseconds nap_{0};
  bool slept_in_vain_ = false;

  std::mutex mutex_;  // the transmit queue
};

}  // namespace patchbay::vswitch
