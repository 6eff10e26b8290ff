// Bytes as a file without a name, for programs that want to open one (/proc/self/fd/N).
#pragma once

#include <cstddef>
#include <span>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

/// In memory, close-on-exec; `name` is for /proc. Throws std::system_error.
[[nodiscard]] vswitch::FileDescriptor memory_file(const char* name, std::span<const std::byte> contents);

}  // namespace patchbay::tools
