#include "appliances/router/core/console/ping.h"

#include <algorithm>
#include <string_view>

namespace patchbay::router {
namespace {

std::string_view explain(const IcmpHeader& error) noexcept {
  switch (static_cast<IcmpType>(error.type)) {
    case IcmpType::time_exceeded:
      return "time to live exceeded";
    case IcmpType::parameter_problem:
      return "parameter problem";
    default:
      break;
  }
  switch (error.code) {
    case icmp_code::kNetUnreachable:
      return "destination net unreachable";
    case icmp_code::kHostUnreachable:
      return "destination host unreachable";
    case icmp_code::kProtocolUnreachable:
      return "destination protocol unreachable";
    case icmp_code::kFragmentationNeeded:
      return "fragmentation needed";
    case icmp_code::kProhibited:
      return "administratively prohibited";
    default:
      return "destination unreachable";
  }
}

}  // namespace

void Ping::start(Ipv4Address destination, std::uint32_t count, std::size_t bytes) noexcept {
  probe_.start(destination, bytes);
  running_ = true;
  count_ = count;
  sent_ = received_ = 0;
  shortest_ = kNever;
  longest_ = sum_ = 0;
  next_ = plane_.now;
  printer_.line("PING ", destination, ": ", static_cast<std::uint64_t>(bytes), " data bytes");
}

Nanoseconds Ping::poll() noexcept {
  if (running_ && plane_.now >= next_) {
    if (probe_.outstanding()) {
      printer_.line("no answer from ", probe_.destination(), ": seq=", probe_.sequence());
      probe_.settle();
    }
    if (sent_ < count_) {
      send();
    } else {
      stop();
    }
  }
  return running_ ? next_ : kNever;
}

void Ping::send() noexcept {
  ++sent_;
  next_ = plane_.now + kInterval;
  switch (probe_.send(plane_, kDefaultTtl)) {
    case EchoProbe::Sent::yes:
      return;
    case EchoProbe::Sent::no_route:
      printer_.line("no route to ", probe_.destination());
      return stop();
    case EchoProbe::Sent::no_buffer:
      printer_.line("no buffer for a packet of this size");
      return stop();
  }
}

void Ping::stop() noexcept {
  running_ = false;
  probe_.settle();
  printer_.line("--- ", probe_.destination(), " ping statistics ---");
  const std::uint64_t lost = sent_ - received_;
  printer_.line(sent_, " packets transmitted, ", received_, " received, ",
                sent_ == 0 ? 0 : lost * 100 / sent_, "% packet loss");
  if (received_ == 0) return;
  printer_.begin() << "round-trip min/avg/max = ";
  TextWriter& text = printer_.text();
  text.milliseconds(shortest_) << '/';
  text.milliseconds(sum_ / received_) << '/';
  text.milliseconds(longest_) << " ms";
  printer_.end();
}

bool Ping::on_echo_reply(const Ipv4Header& header, std::span<const std::byte> message, Nanoseconds now) {
  if (!running_ || !probe_.is_answer(message)) return false;
  const Nanoseconds time = now - probe_.sent_at();
  probe_.settle();
  ++received_;
  shortest_ = std::min(shortest_, time);
  longest_ = std::max(longest_, time);
  sum_ += time;
  printer_.begin() << static_cast<std::uint64_t>(message.size()) << " bytes from " << header.source.address()
                   << ": seq=" << probe_.sequence() << " ttl=" << header.ttl << " time=";
  printer_.text().milliseconds(time) << " ms";
  printer_.end();
  if (sent_ == count_) next_ = now;  // nothing left to wait for
  return true;
}

bool Ping::on_error(const Ipv4Header& header, const IcmpHeader& error, const Ipv4Header& quoted,
                    std::span<const std::byte> quoted_payload, Nanoseconds now) {
  if (!running_ || !probe_.is_quoted(quoted, quoted_payload)) return false;
  probe_.settle();
  printer_.line("from ", header.source.address(), ": seq=", probe_.sequence(), " ", explain(error));
  if (sent_ == count_) next_ = now;
  return true;
}

}  // namespace patchbay::router
