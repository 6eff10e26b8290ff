#include "devices/block/virtio_block.h"

#include <algorithm>
#include <cstring>

namespace patchbay::devices::block {
namespace {

constexpr std::uint32_t kMaxRangeSectors = 1U << 22;  // 2 GiB a discard or write-zeroes range

virtio::FeatureSet offered(const Disk& disk) {
  const virtio::FeatureSet common = virtio::kFeatureVersion1 | virtio::kFeatureEventIndex |
                                    virtio::kFeatureIndirectDescriptors | kFeatureSegmentMax |
                                    kFeatureBlockSize | kFeatureTopology | kFeatureFlush;
  return common | (disk.read_only() ? kFeatureReadOnly : kFeatureDiscard | kFeatureWriteZeroes);
}

}  // namespace

struct VirtioBlock::Request final : public IoPool::Job {
  void run() noexcept override { device->carry_out(*this); }

  VirtioBlock* device = nullptr;
  std::uint16_t chain = 0;
  ParsedRequest parsed;
  std::uint64_t generation = 0;
  bool write_through = false;  // the driver knows no flush
  std::array<RangeElement, kRangesPerRequest> ranges;
  std::size_t range_count = 0;
  std::array<iovec, virtio::SegmentList::kCapacity + 1> pieces;
};

VirtioBlock::VirtioBlock(std::unique_ptr<Disk> disk, std::string id, virtio::DoorbellThread& thread,
                         IoPool& pool)
    : ServedDevice(kDeviceType, offered(*disk), 1, kQueueSize, thread),
      disk_(std::move(disk)),
      id_(std::move(id)),
      pool_(pool),
      requests_(std::make_unique<Request[]>(kRequestsInFlight)) {
  config_.capacity = disk_->size() / kSectorBytes;
  config_.seg_max = virtio::SegmentList::kCapacity - 2;  // header and status
  config_.block_size = kSectorBytes;
  config_.physical_block_exponent = 3;  // 4 KiB: what files and page cache are made of
  config_.min_io_size = 8;
  config_.queues = 1;
  config_.max_discard_sectors = kMaxRangeSectors;
  config_.max_discard_segments = kRangesPerRequest;
  config_.discard_alignment = 8;
  config_.max_write_zeroes_sectors = kMaxRangeSectors;
  config_.max_write_zeroes_segments = kRangesPerRequest;
  config_.write_zeroes_may_unmap = 1;
  id_.resize(kIdBytes, '\0');
  free_.reserve(kRequestsInFlight);
  for (std::size_t i = 0; i < kRequestsInFlight; ++i) {
    requests_[i].device = this;
    free_.push_back(&requests_[i]);
  }
  start_serving();
}

VirtioBlock::~VirtioBlock() {
  stop_serving();
  reset();
  std::unique_lock lock(io_mutex_);
  io_ended_.wait(lock, [this] { return submitted_ == 0; });
}

void VirtioBlock::serve() noexcept {
  each_chain(0, [this](const virtio::Chain& chain) {
    if (free_.empty()) {
      starved_ = true;
      return false;
    }
    Request& request = *free_.back();
    free_.pop_back();
    begin(request, chain);
    return true;
  });
}

void VirtioBlock::begin(Request& request, const virtio::Chain& chain) noexcept {
  request.chain = chain.id;
  request.write_through = !has_feature(kFeatureFlush);
  if (!parse_request(segments().segments(), chain, request.pieces, request.parsed)) {
    // Nowhere to say what is wrong (5.2.6.1 gives every request a status).
    ring(0).complete(chain.id, 0);
    free_.push_back(&request);
    return;
  }
  const RequestStatus status = check(request);
  const auto type = static_cast<RequestType>(request.parsed.header.type);
  if (status != RequestStatus::ok || type == RequestType::get_id) {
    if (status == RequestStatus::ok) answer_id(request.parsed);
    complete(request, status);
    return;
  }
  {
    const std::lock_guard lock(io_mutex_);
    request.generation = generation_;
    ++submitted_;
  }
  pool_.submit(request);
}

RequestStatus VirtioBlock::check(Request& request) const noexcept {
  const ParsedRequest& parsed = request.parsed;
  switch (static_cast<RequestType>(parsed.header.type)) {
    case RequestType::write:
      // 5.2.6.2: "A device MUST set the status byte to VIRTIO_BLK_S_IOERR for a write request if the
      // VIRTIO_BLK_F_RO feature is offered, and MUST NOT write any data."
      if (disk_->read_only()) return RequestStatus::io_error;
      [[fallthrough]];
    case RequestType::read:
      return check_range(parsed.header.sector, parsed.data_bytes);
    case RequestType::flush:
    case RequestType::get_id:
      return RequestStatus::ok;
    case RequestType::discard:
    case RequestType::write_zeroes:
      return disk_->read_only() ? RequestStatus::io_error : check_ranges(request);
  }
  return RequestStatus::unsupported;  // 5.2.6.2
}

RequestStatus VirtioBlock::check_range(std::uint64_t sector, std::uint64_t bytes) const noexcept {
  const bool fits = bytes % kSectorBytes == 0 && sector <= config_.capacity &&
                    bytes / kSectorBytes <= config_.capacity - sector;
  return fits ? RequestStatus::ok : RequestStatus::io_error;
}

RequestStatus VirtioBlock::check_ranges(Request& request) const noexcept {
  const ParsedRequest& parsed = request.parsed;
  const bool whole = parsed.data_bytes % sizeof(RangeElement) == 0 && parsed.data_bytes > 0 &&
                     parsed.data_bytes <= sizeof request.ranges;
  if (!whole) return RequestStatus::io_error;
  // Copied once, then checked: the guest may change its own copy meanwhile.
  auto* to = reinterpret_cast<std::byte*>(request.ranges.data());
  for (const iovec& piece : parsed.data) {
    std::memcpy(to, piece.iov_base, piece.iov_len);
    to += piece.iov_len;
  }
  request.range_count = static_cast<std::size_t>(parsed.data_bytes / sizeof(RangeElement));
  const bool zeroes = static_cast<RequestType>(parsed.header.type) == RequestType::write_zeroes;
  for (const RangeElement& range : std::span(request.ranges).first(request.range_count)) {
    // 5.2.6.2: unknown flags, and UNMAP with discard, are VIRTIO_BLK_S_UNSUPP.
    if ((range.flags & ~(zeroes ? RangeElement::kUnmap : 0U)) != 0) return RequestStatus::unsupported;
    if (range.sectors > kMaxRangeSectors) return RequestStatus::io_error;
    const RequestStatus status = check_range(range.sector, std::uint64_t{range.sectors} * kSectorBytes);
    if (status != RequestStatus::ok) return status;
  }
  return RequestStatus::ok;
}

void VirtioBlock::answer_id(const ParsedRequest& parsed) const noexcept {
  std::string_view rest = id_;
  for (const iovec& piece : parsed.data) {
    const std::size_t portion = std::min(rest.size(), piece.iov_len);
    std::memcpy(piece.iov_base, rest.data(), portion);
    rest.remove_prefix(portion);
  }
}

void VirtioBlock::carry_out(Request& request) noexcept {
  bool current = false;
  {
    const std::lock_guard lock(io_mutex_);
    current = request.generation == generation_;
    if (current) ++touching_memory_;
  }
  RequestStatus status = RequestStatus::ok;
  if (current) {
    status = perform(request);
    const std::lock_guard lock(io_mutex_);
    --touching_memory_;
    io_ended_.notify_all();
  }
  {
    const std::lock_guard lock(locks());
    {
      const std::lock_guard io_lock(io_mutex_);
      current = request.generation == generation_;
    }
    if (current && running()) {
      complete(request, status);
      publish(0);
    } else {
      free_.push_back(&request);
    }
    if (std::exchange(starved_, false)) wake();
  }
  const std::lock_guard lock(io_mutex_);
  --submitted_;
  io_ended_.notify_all();  // under the lock: the device may be gone right after
}

RequestStatus VirtioBlock::perform(Request& request) noexcept {
  ParsedRequest& parsed = request.parsed;
  const std::uint64_t offset = parsed.header.sector * kSectorBytes;
  int error = 0;
  switch (static_cast<RequestType>(parsed.header.type)) {
    case RequestType::read:
      error = disk_->read(offset, parsed.data);
      break;
    case RequestType::write:
      error = disk_->write(offset, parsed.data);
      // 5.2.6.2: without VIRTIO_BLK_F_FLUSH a write is complete when it is safe.
      if (error == 0 && request.write_through) error = disk_->flush();
      break;
    case RequestType::flush:
      error = disk_->flush();
      break;
    case RequestType::get_id:
      break;
    case RequestType::discard:
    case RequestType::write_zeroes:
      for (const RangeElement& range : std::span(request.ranges).first(request.range_count)) {
        const std::uint64_t from = range.sector * kSectorBytes;
        const std::uint64_t bytes = std::uint64_t{range.sectors} * kSectorBytes;
        if (bytes == 0 || error != 0) continue;
        error = static_cast<RequestType>(parsed.header.type) == RequestType::discard
                    ? disk_->discard(from, bytes)
                    : disk_->write_zeroes(from, bytes, (range.flags & RangeElement::kUnmap) != 0);
      }
      break;
  }
  if (error == 0) return RequestStatus::ok;
  failed_.fetch_add(1, std::memory_order_relaxed);
  return RequestStatus::io_error;
}

void VirtioBlock::complete(Request& request, RequestStatus status) noexcept {
  const ParsedRequest& parsed = request.parsed;
  *parsed.status = static_cast<std::byte>(status);
  std::uint64_t written = 1;
  if (status == RequestStatus::ok) {
    const auto type = static_cast<RequestType>(parsed.header.type);
    if (type == RequestType::read) written += parsed.data_bytes;
    if (type == RequestType::get_id) written += std::min<std::uint64_t>(parsed.data_bytes, kIdBytes);
  }
  ring(0).complete(request.chain, static_cast<std::uint32_t>(written));
  free_.push_back(&request);
}

void VirtioBlock::on_reset() noexcept {
  ServedDevice::on_reset();
  std::unique_lock lock(io_mutex_);
  ++generation_;
  io_ended_.wait(lock, [this] { return touching_memory_ == 0; });
}

}  // namespace patchbay::devices::block
