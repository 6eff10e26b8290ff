// A guest kernel as an ELF executable (System V ABI, ELF-32 and ELF-64, x86): the segments to load and the
// entry point that its PVH note names. The file comes from a user, so every offset in it is checked against
// the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/file_contents.h"

namespace patchbay::vmm {

class ElfImage {
 public:
  struct Segment {
    std::uint64_t physical_address;   // bytes
    std::uint64_t memory_bytes;       // at least file.size(); the rest is zero
    std::span<const std::byte> file;  // lives as long as this object or a copy of it
  };

  /// Reads and parses `path`. Throws ImageError.
  [[nodiscard]] static ElfImage load(const std::string& path);
  /// Parses `contents`; `name` is for error texts. Throws ImageError.
  [[nodiscard]] static ElfImage parse(FileContents contents, const std::string& name = "kernel image");

  /// Segments with memory to fill, in the file's order; none of them wraps around.
  [[nodiscard]] std::span<const Segment> segments() const noexcept { return segments_; }
  /// Entry point in 32-bit protected mode (XEN_ELFNOTE_PHYS32_ENTRY), or none if there is no such note.
  [[nodiscard]] std::optional<std::uint32_t> pvh_entry() const noexcept { return pvh_entry_; }
  /// The ELF header's entry point, and whether it is one in 64-bit mode.
  [[nodiscard]] std::uint64_t entry() const noexcept { return entry_; }
  [[nodiscard]] bool is_64bit() const noexcept { return is_64bit_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The whole file.
  [[nodiscard]] const FileContents& contents() const noexcept { return contents_; }

 private:
  ElfImage() = default;

  std::string name_;
  FileContents contents_;  // copies and moves keep the buffer, so segments stay valid
  std::vector<Segment> segments_;
  std::optional<std::uint32_t> pvh_entry_;
  std::uint64_t entry_ = 0;
  bool is_64bit_ = false;
};

}  // namespace patchbay::vmm
