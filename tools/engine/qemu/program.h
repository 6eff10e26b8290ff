// Where this host has QEMU.
#pragma once

#include <filesystem>
#include <string_view>

namespace patchbay::tools::qemu {

inline constexpr std::string_view kProgram = "qemu-system-x86_64";
inline constexpr std::string_view kPackage = "qemu-system-x86";  // Debian's

/// The file that $PATCHBAY_QEMU names, else the one in $PATH; empty if there is none that can be run.
[[nodiscard]] std::filesystem::path find_program();

}  // namespace patchbay::tools::qemu
