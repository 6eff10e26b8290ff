#include "vmm/kernel/linux_image.h"

#include <cstdint>
#include <cstring>

#include "vmm/kernel/decompress.h"
#include "vmm/kernel/setup_header.h"

namespace patchbay::vmm {
namespace {

constexpr std::uint16_t kPayloadVersion = 0x0208;  // the protocol that names the payload: Linux 2.6.26
constexpr std::size_t kSectorBytes = 512;
constexpr unsigned kDefaultSetupSectors = 4;

template <typename T>
T field(std::span<const std::byte> file, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

FileContents unpack_bzimage(std::span<const std::byte> file, const std::string& name) {
  const auto version = field<std::uint16_t>(file, setup_header::kProtocolVersion);
  if (version < kPayloadVersion) {
    throw ImageError(name + ": a bzImage of boot protocol " + std::to_string(version >> 8) + "." +
                     std::to_string(version & 0xFF) + "; 2.08 (Linux 2.6.26) or later is needed");
  }
  const unsigned sectors = field<std::uint8_t>(file, setup_header::kSetupSectors);
  const std::uint64_t code = ((sectors == 0 ? kDefaultSetupSectors : sectors) + 1) * kSectorBytes;
  const std::uint64_t start = code + field<std::uint32_t>(file, setup_header::kPayloadOffset);
  const std::uint64_t bytes = field<std::uint32_t>(file, setup_header::kPayloadLength);
  if (start > file.size() || bytes > file.size() - start) {
    throw ImageError(name + ": its payload lies outside the file (offset " + std::to_string(start) + ", " +
                     std::to_string(bytes) + " bytes, file of " + std::to_string(file.size()) +
                     " bytes); is it truncated?");
  }
  return decompress_payload(file.subspan(start, bytes), name);
}

}  // namespace

bool is_bzimage(std::span<const std::byte> contents) noexcept {
  return contents.size() >= setup_header::kEnd &&
         field<std::uint16_t>(contents, setup_header::kBootFlag) == setup_header::kBootFlagValue &&
         field<std::uint32_t>(contents, setup_header::kMagic) == setup_header::kMagicValue;
}

ElfImage parse_kernel(const FileContents& contents, const std::string& name) {
  if (is_bzimage(contents.bytes())) return ElfImage::parse(unpack_bzimage(contents.bytes(), name), name);
  return ElfImage::parse(contents, name);
}

ElfImage load_kernel(const std::string& path) {
  return parse_kernel(FileContents::read(path, "kernel image"), path);
}

}  // namespace patchbay::vmm
