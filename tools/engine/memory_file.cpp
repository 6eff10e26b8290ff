#include "tools/engine/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace patchbay::tools {

vswitch::FileDescriptor memory_file(const char* name, std::span<const std::byte> contents) {
  const auto fail = [name] {
    throw std::system_error(errno, std::generic_category(), std::string("no memory for the file ") + name);
  };
  vswitch::FileDescriptor file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) fail();
  while (!contents.empty()) {
    const ssize_t count = ::write(file.get(), contents.data(), contents.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail();
    contents = contents.subspan(static_cast<std::size_t>(count));
  }
  return file;
}

}  // namespace patchbay::tools
