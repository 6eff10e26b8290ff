// Writes ACPI Machine Language (ACPI 6.4 chapter 20) as far as this machine's DSDT needs it: objects as byte strings
// that are put together from the inside out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace patchbay::vmm::aml {

using Bytes = std::vector<std::uint8_t>;

/// The bytes of all `parts`, one after the other.
[[nodiscard]] Bytes concat(std::initializer_list<Bytes> parts);

/// A name of up to four characters per segment: "_HID", "\\_SB_", "PCI0". Throws std::logic_error for others.
[[nodiscard]] Bytes name_string(std::string_view name);
[[nodiscard]] Bytes integer(std::uint64_t value);
[[nodiscard]] Bytes string(std::string_view text);
/// "PNP0A03" as the compressed number that _HID may hold (20.3.4 of the specification, EISAID).
[[nodiscard]] Bytes eisa_id(std::string_view id);
[[nodiscard]] Bytes buffer(const Bytes& contents);
[[nodiscard]] Bytes package(const std::vector<Bytes>& elements);  // at most 255

[[nodiscard]] Bytes named(std::string_view name, const Bytes& object);      // Name (name, object)
[[nodiscard]] Bytes scope(std::string_view name, const Bytes& contents);    // Scope (name) {...}
[[nodiscard]] Bytes device(std::string_view name, const Bytes& contents);   // Device (name) {...}

// Resource descriptors (6.4 of the specification); resources() closes a list of them and makes it a buffer.
[[nodiscard]] Bytes io_ports(std::uint16_t start, std::uint8_t count);
[[nodiscard]] Bytes isa_irq(unsigned irq);
[[nodiscard]] Bytes fixed_memory(std::uint32_t start, std::uint32_t bytes);
[[nodiscard]] Bytes bus_numbers(std::uint16_t first, std::uint16_t last);
/// Ranges that a bridge hands on to its bus.
[[nodiscard]] Bytes port_window(std::uint16_t start, std::uint16_t bytes);
[[nodiscard]] Bytes memory_window(std::uint32_t start, std::uint32_t bytes);
[[nodiscard]] Bytes resources(std::initializer_list<Bytes> descriptors);

}  // namespace patchbay::vmm::aml
