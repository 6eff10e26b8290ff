#include "tools/disk_boot/partitions.h"

#include <blkid/blkid.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace patchbay::tools::disk_boot {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // the unit of libblkid, whatever the disk's sectors are

struct FreeProbe {
  void operator()(blkid_probe probe) const noexcept { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeProbe>;

}  // namespace

std::vector<Partition> partitions_of(const std::string& image) {
  errno = 0;
  const Probe probe(blkid_new_probe_from_filename(image.c_str()));
  if (!probe) throw std::runtime_error(errno != 0 ? std::strerror(errno) : "it cannot be read");
  blkid_probe_enable_superblocks(probe.get(), 0);
  blkid_probe_enable_partitions(probe.get(), 1);
  const blkid_partlist list = blkid_probe_get_partitions(probe.get());
  if (list == nullptr || blkid_partlist_numof_partitions(list) == 0) return {Partition{}};
  std::vector<Partition> partitions;
  for (int i = 0; i < blkid_partlist_numof_partitions(list); ++i) {
    const blkid_partition partition = blkid_partlist_get_partition(list, i);
    if (partition == nullptr || blkid_partition_is_extended(partition) != 0) continue;
    const int number = blkid_partition_get_partno(partition);
    const blkid_loff_t start = blkid_partition_get_start(partition);
    if (number <= 0 || start < 0) continue;
    partitions.push_back({static_cast<unsigned>(number), static_cast<std::uint64_t>(start) * kSectorBytes});
  }
  return partitions;
}

}  // namespace patchbay::tools::disk_boot
