// A card in a machine of 4 MiB without CPUs: tests play the driver (registers, descriptors) and the switch
// (pull, push).
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "devices/net/e1000/e1000.h"

namespace patchbay::devices::net::e1000 {

class NoMessages final : public MsiVectors {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned) noexcept override {}
};

class NoDoorbells final : public Doorbells {
 public:
  bool attach(std::uint64_t, int) noexcept override { return false; }
  void detach(std::uint64_t, int) noexcept override {}
};

class Pin final : public InterruptPin {
 public:
  void set(bool asserted) noexcept override { level = asserted; }
  bool level = false;
};

class CardTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMemoryBytes = 4 << 20;
  static constexpr std::uint64_t kTxRing = 0x10000, kRxRing = 0x20000, kTxData = 0x100000, kRxData = 0x200000;
  static constexpr std::uint32_t kRingEntries = 64;
  static constexpr std::uint32_t kRxBuffer = 2048;
  static constexpr std::array<std::uint8_t, 6> kMac{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};

  void SetUp() override {
    ram_.resize(kMemoryBytes);
    memory_ = GuestMemory({{0, ram_}});
    E1000Config config;
    config.port_name = "vm:eth0";
    config.mac = kMac;
    card_ = std::make_unique<E1000>(config);
    card_->attach({&memory_, &messages_, &pin_, &doorbells_});
    enable_bus_master(true);
  }

  void enable_bus_master(bool on) {
    const std::array<std::byte, 2> command{on ? std::byte{0x07} : std::byte{0x03}, std::byte{0}};
    card_->config_write(4, command);
  }

  std::uint32_t read(std::uint32_t offset) {
    std::array<std::byte, 4> data{};
    card_->bar_read(0, offset, data);
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), 4);
    return value;
  }
  void write(std::uint32_t offset, std::uint32_t value) {
    std::array<std::byte, 4> data{};
    std::memcpy(data.data(), &value, 4);
    card_->bar_write(0, offset, data);
  }

  /// Rings with room for kRingEntries; all receive buffers handed over but one.
  void start(std::uint32_t extra_rctl = 0) {
    write(reg::kTdbal, kTxRing);
    write(reg::kTdbah, 0);
    write(reg::kTdlen, kRingEntries * 16);
    write(reg::kTdh, 0);
    write(reg::kTdt, 0);
    write(reg::kTctl, tctl::kEnable | tctl::kPadShort);
    write(reg::kRdbal, kRxRing);
    write(reg::kRdlen, kRingEntries * 16);
    for (std::uint32_t i = 0; i < kRingEntries; ++i) {
      put<RxDescriptor>(kRxRing + i * 16, {kRxData + i * std::uint64_t{kRxBuffer}, 0, 0, 0, 0, 0});
    }
    write(reg::kRdh, 0);
    write(reg::kRdt, kRingEntries - 1);
    write(reg::kRctl, rctl::kEnable | rctl::kBroadcast | extra_rctl);
  }

  template <typename T>
  void put(std::uint64_t address, const T& value) {
    std::memcpy(ram_.data() + address, &value, sizeof value);
  }
  template <typename T>
  T get(std::uint64_t address) const {
    T value;
    std::memcpy(&value, ram_.data() + address, sizeof value);
    return value;
  }
  RxDescriptor rx(std::uint32_t i) const { return get<RxDescriptor>(kRxRing + i * 16); }
  TxDescriptor tx(std::uint32_t i) const { return get<TxDescriptor>(kTxRing + i * 16); }

  /// Puts a descriptor at the tail without telling the card.
  void queue(std::uint64_t address, std::uint32_t lower, std::uint32_t upper = 0) {
    put<TxDescriptor>(kTxRing + tail_ * 16, {address, lower, upper});
    tail_ = (tail_ + 1) % kRingEntries;
  }
  void kick() { write(reg::kTdt, tail_); }

  /// Frame bytes: addresses, type, then a counting pattern.
  static std::vector<std::byte> frame(std::size_t bytes, std::array<std::uint8_t, 6> destination = kMac,
                                      std::uint16_t type = 0x88B5) {
    std::vector<std::byte> data(bytes);
    for (std::size_t i = 0; i < bytes; ++i)
      data[i] = static_cast<std::byte>(i * 7 + i / 256);
    for (std::size_t i = 0; i < 6 && i < bytes; ++i)
      data[i] = static_cast<std::byte>(destination[i]);
    if (bytes >= 14) {
      data[6] = std::byte{0x02};
      data[12] = static_cast<std::byte>(type >> 8);
      data[13] = static_cast<std::byte>(type & 0xFF);
    }
    return data;
  }

  std::vector<std::byte> bytes_of(const vswitch::FrameView& view) const {
    const auto header = view.header_bytes();
    std::vector<std::byte> out(header.begin(), header.end());
    for (const auto& piece : view.tail)
      out.insert(out.end(), piece.begin(), piece.end());
    return out;
  }

  /// What the switch would see now; everything is released.
  std::vector<std::vector<std::byte>> sent() {
    burst_->clear();
    card_->pull(*burst_);
    std::vector<std::vector<std::byte>> frames;
    offloads_.clear();
    for (std::size_t i = 0; i < burst_->size(); ++i) {
      frames.push_back(bytes_of((*burst_)[i]));
      EXPECT_EQ(frames.back().size(), (*burst_)[i].length);
      offloads_.push_back((*burst_)[i].offload);
    }
    if (!burst_->empty()) card_->release(burst_->size());
    return frames;
  }

  /// Delivers one frame; true if the card dealt with it.
  bool deliver(std::span<const std::byte> data, vswitch::Offload offload = {}) {
    vswitch::FrameView view;
    view.length = static_cast<std::uint32_t>(data.size());
    view.offload = offload;
    std::memcpy(view.header.data(), data.data(), std::min(data.size(), vswitch::kHeaderBytes));
    const vswitch::Piece tail =
        data.size() > vswitch::kHeaderBytes ? data.subspan(vswitch::kHeaderBytes) : vswitch::Piece{};
    if (!tail.empty()) view.tail = {&tail, 1};
    const vswitch::FrameView* pointer = &view;
    return card_->push({&pointer, 1}) == 1;
  }

  std::uint64_t in_dropped(vswitch::DropReason reason) const {
    return card_->counters.in.dropped[static_cast<std::size_t>(reason)].value();
  }
  std::uint64_t out_dropped(vswitch::DropReason reason) const {
    return card_->counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }

  std::vector<std::byte> ram_;
  GuestMemory memory_;
  NoMessages messages_;
  NoDoorbells doorbells_;
  Pin pin_;
  std::unique_ptr<E1000> card_;
  std::unique_ptr<vswitch::Burst> burst_ = std::make_unique<vswitch::Burst>();
  std::vector<vswitch::Offload> offloads_;
  std::uint32_t tail_ = 0;
};

inline constexpr std::uint32_t kEopRsFcs =
    tx_command::kEndOfPacket | tx_command::kReportStatus | tx_command::kInsertFcs;
inline constexpr std::uint32_t kData = tx_command::kExtended | kTxTypeData;

}  // namespace patchbay::devices::net::e1000
