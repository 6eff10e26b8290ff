// An empty copy-on-write image for QEMU: qcow2, version 3 (QEMU's docs/interop/qcow2.txt). It names no backing file:
// who opens it says what lies below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools::qemu {

/// The image's bytes for a disk of `disk_bytes`. Throws std::runtime_error if that is more than 64 TiB.
[[nodiscard]] std::vector<std::byte> empty_overlay(std::uint64_t disk_bytes);

/// A nameless file in `folder` with these bytes. Throws std::runtime_error or std::system_error.
[[nodiscard]] vswitch::FileDescriptor make_overlay(std::uint64_t disk_bytes, const std::string& folder);

}  // namespace patchbay::tools::qemu
