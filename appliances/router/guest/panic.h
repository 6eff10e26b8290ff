// The end of the guest when it cannot go on.
#pragma once

#include <string_view>

namespace patchbay::router::guest {

/// Prints "router: " and the reason on the console and crashes, so that the VMM reports it.
[[noreturn]] void panic(std::string_view reason) noexcept;

}  // namespace patchbay::router::guest
