#include "tools/engine/cpio_archive.h"

#include <fmt/format.h>

namespace patchbay::tools {

void CpioArchive::append(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void CpioArchive::pad() {
  bytes_.resize((bytes_.size() + 3) / 4 * 4);
}

void CpioArchive::add(const std::string& path, std::uint32_t mode, std::span<const std::byte> contents) {
  // Magic, inode, mode, owner, group, links, time, size, device, device of a special file, length of the
  // name, checksum.
  append(fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                     ++entries_, mode, 0, 0, 1, 0, contents.size(), 0, 0, 0, 0, path.size() + 1, 0));
  append(path);
  bytes_.push_back(std::byte{0});
  pad();
  bytes_.insert(bytes_.end(), contents.begin(), contents.end());
  pad();
}

std::vector<std::byte> CpioArchive::finish() {
  add("TRAILER!!!", 0, {});
  return std::move(bytes_);
}

}  // namespace patchbay::tools
