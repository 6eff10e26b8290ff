#include "tools/engine/qemu/overlay_image.h"

#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "devices/block/disk.h"

namespace patchbay::tools::qemu {

namespace {

constexpr unsigned kClusterBits = 16;
constexpr std::uint64_t kCluster = 1ULL << kClusterBits;
constexpr std::uint64_t kBytesPerL1Entry = kCluster * (kCluster / 8);  // one L2 table: 512 MiB
constexpr std::uint64_t kLargestDisk = 64ULL << 40U;
constexpr std::uint32_t kHeaderBytes = 104;

// What stands in which cluster.
constexpr std::uint64_t kRefcountTable = 1;
constexpr std::uint64_t kRefcountBlock = 2;
constexpr std::uint64_t kL1Table = 3;

/// Big-endian numbers, one after the other.
class Writer {
 public:
  Writer(std::vector<std::byte>& bytes, std::uint64_t at) : bytes_(bytes), at_(at) {}

  Writer& u16(std::uint16_t value) { return number(value, 2); }
  Writer& u32(std::uint32_t value) { return number(value, 4); }
  Writer& u64(std::uint64_t value) { return number(value, 8); }

 private:
  Writer& number(std::uint64_t value, unsigned size) {
    for (unsigned i = size; i-- > 0;)
      bytes_.at(at_++) = static_cast<std::byte>(value >> (8 * i) & 0xFF);
    return *this;
  }

  std::vector<std::byte>& bytes_;
  std::uint64_t at_;
};

}  // namespace

std::vector<std::byte> empty_overlay(std::uint64_t disk_bytes) {
  if (disk_bytes > kLargestDisk) throw std::runtime_error("a disk of more than 64 TiB cannot have an overlay");
  const std::uint64_t l1_entries = (disk_bytes + kBytesPerL1Entry - 1) / kBytesPerL1Entry;
  const std::uint64_t clusters = kL1Table + (l1_entries * 8 + kCluster - 1) / kCluster;
  std::vector<std::byte> image(clusters * kCluster);
  Writer(image, 0)
      .u32(0x5146'49FB)  // "QFI\xfb"
      .u32(3)            // version
      .u64(0)            // backing file name: none
      .u32(0)
      .u32(kClusterBits)
      .u64(disk_bytes)
      .u32(0)  // not encrypted
      .u32(static_cast<std::uint32_t>(l1_entries))
      .u64(kL1Table * kCluster)
      .u64(kRefcountTable * kCluster)
      .u32(1)  // clusters of the refcount table
      .u32(0)  // no snapshots
      .u64(0)
      .u64(0)  // incompatible, compatible and autoclear features
      .u64(0)
      .u64(0)
      .u32(4)  // refcounts of 2^4 bits
      .u32(kHeaderBytes);
  // Behind the header, eight zero bytes end the list of extensions. The L1 table is empty.
  Writer(image, kRefcountTable * kCluster).u64(kRefcountBlock * kCluster);
  Writer refcounts(image, kRefcountBlock * kCluster);
  for (std::uint64_t i = 0; i < clusters; ++i)
    refcounts.u16(1);
  return image;
}

vswitch::FileDescriptor make_overlay(std::uint64_t disk_bytes, const std::string& folder) {
  const std::vector<std::byte> image = empty_overlay(disk_bytes);
  vswitch::FileDescriptor file(devices::block::nameless_file(folder));
  if (!file || ::write(file.get(), image.data(), image.size()) != static_cast<ssize_t>(image.size()))
    throw std::system_error(errno, std::generic_category(), "cannot make a copy-on-write overlay in " + folder);
  return file;
}

}  // namespace patchbay::tools::qemu
