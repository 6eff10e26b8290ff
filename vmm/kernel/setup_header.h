// The real-mode kernel header of Linux's boot protocol (Documentation/arch/x86/boot.rst): a boot loader finds it in the
// file and, at the same offsets, hands it on in the zero page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchbay::vmm::setup_header {

inline constexpr std::size_t kSetupSectors = 0x1F1;
inline constexpr std::size_t kBootFlag = 0x1FE;
inline constexpr std::size_t kMagic = 0x202;
inline constexpr std::size_t kProtocolVersion = 0x206;
inline constexpr std::size_t kLoaderType = 0x210;
inline constexpr std::size_t kLoadFlags = 0x211;
inline constexpr std::size_t kInitrdAddress = 0x218;
inline constexpr std::size_t kInitrdBytes = 0x21C;
inline constexpr std::size_t kCommandLine = 0x228;
inline constexpr std::size_t kKernelAlignment = 0x230;
inline constexpr std::size_t kCommandLineBytes = 0x238;
inline constexpr std::size_t kPayloadOffset = 0x248;
inline constexpr std::size_t kPayloadLength = 0x24C;
inline constexpr std::size_t kEnd = 0x250;

inline constexpr std::uint16_t kBootFlagValue = 0xAA55;
inline constexpr std::uint32_t kMagicValue = 0x5372'6448;  // "HdrS"

}  // namespace patchbay::vmm::setup_header
