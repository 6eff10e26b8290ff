#include "tools/lab/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace patchbay::tools {
namespace {

constexpr unsigned address_bits(IpFamily family) {
  return family == IpFamily::v4 ? 32 : 128;
}
constexpr std::string_view family_name(IpFamily family) {
  return family == IpFamily::v4 ? "IPv4" : "IPv6";
}
constexpr std::string_view example(IpFamily family) {
  return family == IpFamily::v4 ? "10.0.1.2/24" : "fd00:1::2/64";
}

std::optional<IpAddress> read_address(std::string_view text, IpFamily family) {
  IpAddress address;
  address.family = family;
  const std::string terminated(text);
  const int af = family == IpFamily::v4 ? AF_INET : AF_INET6;
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(af, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::optional<unsigned> read_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Why no interface can have this address; empty if one can.
std::string_view reserved_use(const IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == IpFamily::v4) {
    if (b[0] == 0) return "lies in 0.0.0.0/8, \"this network\"";
    if (b[0] == 127) return "is a loopback address";
    if (b[0] >= 224 && b[0] <= 239) return "is a multicast address";
    if (b[0] >= 240) return "lies in the reserved block 240.0.0.0/4";
    return {};
  }
  if (b[0] == 0xFF) return "is a multicast address";
  if (std::all_of(b.begin(), b.begin() + 15, [](std::uint8_t byte) { return byte == 0; }) && b[15] <= 1) {
    return b[15] == 0 ? "is the unspecified address" : "is the loopback address";
  }
  if (std::all_of(b.begin(), b.begin() + 10, [](std::uint8_t byte) { return byte == 0; }) && b[10] == 0xFF &&
      b[11] == 0xFF) {
    return "is an IPv4-mapped address";
  }
  return {};
}

IpAddress plus_one(IpAddress address) {
  for (std::size_t i = address_bits(address.family) / 8; i-- > 0;) {
    if (++address.bytes[i] != 0) break;
  }
  return address;
}

IpAddress last_of(const InterfaceAddress& subnet) {
  IpAddress last = subnet.address;
  for (unsigned bit = subnet.prefix_length; bit < address_bits(last.family); ++bit) {
    last.bytes[bit / 8] = static_cast<std::uint8_t>(last.bytes[bit / 8] | (0x80U >> (bit % 8)));
  }
  return last;
}

}  // namespace

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int af = address.family == IpFamily::v4 ? AF_INET : AF_INET6;
  inet_ntop(af, address.bytes.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

std::string to_string(const InterfaceAddress& address) {
  return fmt::format("{}/{}", to_string(address.address), address.prefix_length);
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4],
                     mac[5]);
}

IpAddress network_of(const IpAddress& address, unsigned length) {
  IpAddress network = address;
  for (unsigned bit = length; bit < address_bits(address.family); ++bit) {
    network.bytes[bit / 8] = static_cast<std::uint8_t>(network.bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  return network;
}

bool subnets_overlap(const InterfaceAddress& a, const InterfaceAddress& b) {
  if (a.address.family != b.address.family) return false;
  const unsigned shorter = std::min(a.prefix_length, b.prefix_length);
  return network_of(a.address, shorter) == network_of(b.address, shorter);
}

Parsed<IpAddress> parse_ip_address(std::string_view text) {
  if (const auto v4 = read_address(text, IpFamily::v4)) return *v4;
  if (const auto v6 = read_address(text, IpFamily::v6)) return *v6;
  return Fault{fmt::format("'{}' is not an IP address", text), "write one such as 10.0.2.2 or fd00:2::2"};
}

Parsed<InterfaceAddress> parse_interface_address(std::string_view text, IpFamily family) {
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const std::optional<IpAddress> address = read_address(host, family);
  if (!address) {
    const IpFamily other = family == IpFamily::v4 ? IpFamily::v6 : IpFamily::v4;
    if (read_address(host, other)) {
      return Fault{fmt::format("'{}' is an {} address", text, family_name(other)),
                   fmt::format("it belongs under '{}'", other == IpFamily::v4 ? "ipv4" : "ipv6")};
    }
    return Fault{fmt::format("'{}' is not an {} address with prefix length", text, family_name(family)),
                 fmt::format("write one such as {}", example(family))};
  }
  if (slash == std::string_view::npos) {
    return Fault{fmt::format("'{}' has no prefix length", text),
                 fmt::format("write the subnet's, such as {}/{}", text, family == IpFamily::v4 ? 24 : 64)};
  }
  const std::string_view length_text = text.substr(slash + 1);
  const std::optional<unsigned> length = read_number(length_text);
  const unsigned bits = address_bits(family);
  if (!length || *length == 0 || *length > bits) {
    return Fault{fmt::format("'{}' is not a prefix length", length_text),
                 fmt::format("{} allows 1 to {}", family_name(family), bits)};
  }
  if (const std::string_view use = reserved_use(*address); !use.empty()) {
    return Fault{fmt::format("{} {}", host, use),
                 fmt::format("give the interface a unicast address, such as {}", example(family))};
  }

  const InterfaceAddress result{*address, *length};
  if (*length >= bits - 1) return result;
  const IpAddress first = network_of(*address, *length);
  const IpAddress last = last_of(result);
  if (family == IpFamily::v4) {
    IpAddress last_host = last;
    last_host.bytes[3] = static_cast<std::uint8_t>(last_host.bytes[3] - 1);  // its lowest bit is set
    const auto range = fmt::format("addresses for interfaces are {} to {}", to_string(plus_one(first)),
                                   to_string(last_host));
    if (*address == first)
      return Fault{fmt::format("{} is the address of the subnet {} itself", host, text), range};
    if (*address == last) {
      return Fault{fmt::format("{} is the broadcast address of {}/{}", host, to_string(first), *length),
                   range};
    }
  } else if (*address == first) {
    return Fault{fmt::format("{} is the subnet-router anycast address of {}", host, text),
                 fmt::format("the first address for an interface is {}", to_string(plus_one(first)))};
  }
  return result;
}

Parsed<MacAddress> parse_mac_address(std::string_view text) {
  const Fault fault{fmt::format("'{}' is not a MAC address", text),
                    "write six pairs of hexadecimal digits, such as 02:00:00:00:00:01"};
  if (text.size() != 17) return fault;
  MacAddress mac{};
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* pair = text.data() + 3 * i;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(pair, pair + 2, value, 16);
    if (error != std::errc() || end != pair + 2) return fault;
    if (i + 1 < mac.size() && pair[2] != ':') return fault;
    mac[i] = static_cast<std::uint8_t>(value);
  }
  if ((mac[0] & 1U) != 0) {
    return Fault{fmt::format("{} is a group address", text),
                 "an interface needs a unicast address: the first pair is even, such as 02"};
  }
  if (mac == MacAddress{}) return Fault{"the MAC address is zero", "write one such as 02:00:00:00:00:01"};
  return mac;
}

MacAddress derived_mac_address(std::string_view lab, std::string_view node, std::string_view interface,
                               unsigned attempt) {
  // FNV-1a, 64 bits, folded to 32: stable across machines and versions, which std::hash is not. A zero byte
  // after each name keeps "a","bc" apart from "ab","c".
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001B3U; };
  for (const std::string_view name : {lab, node, interface}) {
    for (const char c : name)
      mix(static_cast<std::uint8_t>(c));
    mix(0);
  }
  for (unsigned i = 0; i < attempt; ++i)
    mix(0xFF);
  const auto folded = static_cast<std::uint32_t>(hash ^ (hash >> 32U));
  return {0x02,
          0x50,
          static_cast<std::uint8_t>(folded >> 24U),
          static_cast<std::uint8_t>(folded >> 16U),
          static_cast<std::uint8_t>(folded >> 8U),
          static_cast<std::uint8_t>(folded)};
}

}  // namespace patchbay::tools
