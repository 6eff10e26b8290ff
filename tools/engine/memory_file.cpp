#include "tools/engine/memory_file.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace patchbay::tools {

vswitch::FileDescriptor memory_file(const char* name, std::span<const std::byte> contents) {
  vswitch::FileDescriptor file(::memfd_create(name, MFD_CLOEXEC));
  if (!file || !vswitch::write_all(file.get(), contents)) {
    throw std::system_error(errno, std::generic_category(), std::string("no memory for the file ") + name);
  }
  return file;
}

}  // namespace patchbay::tools
