#include "tests/guests/initrd.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace patchbay::tests {
namespace {

void append(std::vector<std::byte>& archive, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  archive.insert(archive.end(), bytes.begin(), bytes.end());
}

void pad(std::vector<std::byte>& archive) {
  archive.resize((archive.size() + 3) & ~std::size_t{3});
}

/// Linux Documentation/driver-api/early-userspace/buffer-format.rst.
void append_entry(std::vector<std::byte>& archive, unsigned mode, std::string_view name,
                  std::string_view content) {
  append(archive,
         fmt::format("070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
                     0, mode, 0, 0, 1, 0, content.size(), 0, 0, 0, 0, name.size() + 1, 0));
  append(archive, name);
  archive.push_back(std::byte{0});
  pad(archive);
  append(archive, content);
  pad(archive);
}

}  // namespace

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) throw std::runtime_error("cannot read " + path);
  const auto bytes = std::as_bytes(std::span(content));
  return {bytes.begin(), bytes.end()};
}

void append_archive(std::vector<std::byte>& initrd, std::span<const std::byte> archive) {
  pad(initrd);
  initrd.insert(initrd.end(), archive.begin(), archive.end());
}

void append_file(std::vector<std::byte>& initrd, std::string_view name, std::string_view content) {
  constexpr unsigned kExecutable = 0100755;
  pad(initrd);
  append_entry(initrd, kExecutable, name, content);
  append_entry(initrd, 0, "TRAILER!!!", "");
}

}  // namespace patchbay::tests
