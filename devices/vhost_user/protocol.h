// Messages of the vhost-user protocol (QEMU's docs/interop/vhost-user.rst), as they lie on the socket. The
// *front end* is the hypervisor or program that owns the guest's memory; the *back end* is us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "devices/virtio/features.h"

namespace patchbay::devices::vhost_user {

using virtio::FeatureSet;

enum class Request : std::uint32_t {
  get_features = 1,
  set_features = 2,
  set_owner = 3,
  reset_owner = 4,
  set_mem_table = 5,
  set_vring_num = 8,
  set_vring_addr = 9,
  set_vring_base = 10,
  get_vring_base = 11,
  set_vring_kick = 12,
  set_vring_call = 13,
  set_vring_err = 14,
  get_protocol_features = 15,
  set_protocol_features = 16,
  get_queue_num = 17,
  set_vring_enable = 18,
  net_set_mtu = 20,
  get_config = 24,
  set_config = 25,
  get_inflight_fd = 31,
  set_inflight_fd = 32,
  reset_device = 34,
  get_max_mem_slots = 36,
  add_mem_reg = 37,
  rem_mem_reg = 38,
  set_status = 39,
  get_status = 40,
};

/// VHOST_USER_F_PROTOCOL_FEATURES: a feature bit that no guest ever sees.
inline constexpr FeatureSet kFeatureProtocol = 1ULL << 30;

inline constexpr std::uint64_t kProtocolMq = 1ULL << 0;
inline constexpr std::uint64_t kProtocolReplyAck = 1ULL << 3;
inline constexpr std::uint64_t kProtocolMtu = 1ULL << 4;
inline constexpr std::uint64_t kProtocolConfig = 1ULL << 9;
inline constexpr std::uint64_t kProtocolInflight = 1ULL << 12;
inline constexpr std::uint64_t kProtocolResetDevice = 1ULL << 13;
inline constexpr std::uint64_t kProtocolMemSlots = 1ULL << 15;
inline constexpr std::uint64_t kProtocolStatus = 1ULL << 16;

struct MessageHeader {
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::uint32_t kVersionMask = 3;
  static constexpr std::uint32_t kReply = 4;
  static constexpr std::uint32_t kNeedReply = 8;

  std::uint32_t request = 0;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;  // bytes that follow
};
static_assert(sizeof(MessageHeader) == 12);

struct VringState {
  std::uint32_t index = 0;
  std::uint32_t value = 0;
};
static_assert(sizeof(VringState) == 8);

/// Addresses in the front end's own address space.
struct VringAddress {
  std::uint32_t index = 0;
  std::uint32_t flags = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t used = 0;
  std::uint64_t available = 0;
  std::uint64_t log = 0;
};
static_assert(sizeof(VringAddress) == 40);

struct MemoryRegion {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;          // bytes
  std::uint64_t user_address = 0;  // in the front end's address space
  std::uint64_t mmap_offset = 0;   // of the region in its file

  [[nodiscard]] bool operator==(const MemoryRegion&) const = default;
};
static_assert(sizeof(MemoryRegion) == 32);

struct MemoryTableHeader {
  std::uint32_t regions = 0;
  std::uint32_t padding = 0;
};

struct SingleMemoryRegion {
  std::uint64_t padding = 0;
  MemoryRegion region;
};
static_assert(sizeof(SingleMemoryRegion) == 40);

struct ConfigHeader {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;
};
static_assert(sizeof(ConfigHeader) == 12);

/// The area that outlives us (inflight_area.h). Some front ends leave the padding out.
struct Inflight {
  std::uint64_t mmap_size = 0;
  std::uint64_t mmap_offset = 0;
  std::uint16_t queues = 0;
  std::uint16_t queue_size = 0;
  std::uint32_t padding = 0;
};
static_assert(sizeof(Inflight) == 24);
inline constexpr std::size_t kUnpaddedInflight = 20;

/// Payload of SET_VRING_KICK, _CALL and _ERR.
inline constexpr std::uint64_t kVringIndexMask = 0xff;
inline constexpr std::uint64_t kVringNoFd = 0x100;

inline constexpr std::size_t kTableRegions = 8;   // most regions in SET_MEM_TABLE
inline constexpr std::size_t kMemorySlots = 32;   // most regions with CONFIGURE_MEM_SLOTS
inline constexpr std::size_t kMaxConfig = 256;    // VHOST_USER_MAX_CONFIG_SIZE
inline constexpr std::size_t kMaxPayload = 4096;  // the longest that makes sense here has some 270 bytes
inline constexpr std::size_t kMaxFds = kTableRegions;

[[nodiscard]] constexpr std::string_view to_string(Request request) noexcept {
  switch (request) {
    case Request::get_features:
      return "GET_FEATURES";
    case Request::set_features:
      return "SET_FEATURES";
    case Request::set_owner:
      return "SET_OWNER";
    case Request::reset_owner:
      return "RESET_OWNER";
    case Request::set_mem_table:
      return "SET_MEM_TABLE";
    case Request::set_vring_num:
      return "SET_VRING_NUM";
    case Request::set_vring_addr:
      return "SET_VRING_ADDR";
    case Request::set_vring_base:
      return "SET_VRING_BASE";
    case Request::get_vring_base:
      return "GET_VRING_BASE";
    case Request::set_vring_kick:
      return "SET_VRING_KICK";
    case Request::set_vring_call:
      return "SET_VRING_CALL";
    case Request::set_vring_err:
      return "SET_VRING_ERR";
    case Request::get_protocol_features:
      return "GET_PROTOCOL_FEATURES";
    case Request::set_protocol_features:
      return "SET_PROTOCOL_FEATURES";
    case Request::get_queue_num:
      return "GET_QUEUE_NUM";
    case Request::set_vring_enable:
      return "SET_VRING_ENABLE";
    case Request::net_set_mtu:
      return "NET_SET_MTU";
    case Request::get_config:
      return "GET_CONFIG";
    case Request::set_config:
      return "SET_CONFIG";
    case Request::get_inflight_fd:
      return "GET_INFLIGHT_FD";
    case Request::set_inflight_fd:
      return "SET_INFLIGHT_FD";
    case Request::reset_device:
      return "RESET_DEVICE";
    case Request::get_max_mem_slots:
      return "GET_MAX_MEM_SLOTS";
    case Request::add_mem_reg:
      return "ADD_MEM_REG";
    case Request::rem_mem_reg:
      return "REM_MEM_REG";
    case Request::set_status:
      return "SET_STATUS";
    case Request::get_status:
      return "GET_STATUS";
  }
  return "unknown";
}

}  // namespace patchbay::devices::vhost_user
