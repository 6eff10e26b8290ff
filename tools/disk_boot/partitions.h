// The partitions of a raw disk image (GPT, MBR and what else libblkid knows).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace patchbay::tools::disk_boot {

struct Partition {
  unsigned number = 0;       // as Linux numbers it: /dev/vda1; 0: the whole disk
  std::uint64_t offset = 0;  // bytes from the image's start
};

/// In the order of the table; the whole disk where there is no table. Throws std::runtime_error.
[[nodiscard]] std::vector<Partition> partitions_of(const std::string& image);

}  // namespace patchbay::tools::disk_boot
