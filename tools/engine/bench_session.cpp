#include "tools/engine/bench_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "vswitch/wire.h"

namespace patchbay::tools {

using control::Json;
using control::RequestError;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
namespace traffic = vswitch::traffic;

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPathTimeout = std::chrono::seconds(5);
constexpr milliseconds kFirstRetry{20}, kLastRetry{500};
constexpr milliseconds kQuiet{100};  // after the last arrival a trial is over
constexpr milliseconds kLongestDrain{5000};
constexpr milliseconds kLongestTrial{3'600'000};
constexpr double kHighestRate = 1e9;
constexpr std::size_t kMostSizes = 4096;

traffic::MacBytes mac_bytes(const MacAddress& mac) {
  return mac;
}

traffic::Ipv4Bytes ipv4_bytes(const IpAddress& address) {
  return {address.bytes[0], address.bytes[1], address.bytes[2], address.bytes[3]};
}

Json describe(const traffic::LatencyHistogram& latency) {
  Json curve = Json::array();
  for (const double percentile : {0.0,  10.0, 20.0, 30.0,  40.0, 50.0,  60.0,   70.0,  80.0,   90.0,   95.0,
                                  97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.995, 99.999, 100.0})
    curve.push_back({percentile, latency.percentile(percentile)});
  return {{"count", latency.count()},
          {"min_ns", latency.min()},
          {"mean_ns", latency.mean()},
          {"p50_ns", latency.percentile(50)},
          {"p90_ns", latency.percentile(90)},
          {"p99_ns", latency.percentile(99)},
          {"p99.9_ns", latency.percentile(99.9)},
          {"max_ns", latency.max()},
          {"percentiles", std::move(curve)},
          {"hdr_v2", latency.encode()}};
}

double number(const Json& args, const char* name, double lowest, double highest, double otherwise) {
  if (!args.contains(name)) return otherwise;
  const Json& value = args.at(name);
  const double result = value.is_number() ? value.get<double>() : NAN;
  if (!(result >= lowest && result <= highest))
    throw RequestError(fmt::format("'{}' must be a number from {} to {}", name, lowest, highest));
  return result;
}

bool flag(const Json& args, const char* name) {
  if (!args.contains(name)) return false;
  if (!args.at(name).is_boolean()) throw RequestError(fmt::format("'{}' must be true or false", name));
  return args.at(name).get<bool>();
}

}  // namespace

BenchSession::BenchSession(vswitch::Switch& vswitch, std::array<BenchEnd, 2> ends)
    : switch_(vswitch), ends_(std::move(ends)) {
  for (std::size_t i = 0; i < 2; ++i) {
    const BenchEnd& end = ends_[i];
    lab_[i].port = std::make_unique<TrafficPort>(
        traffic::StationConfig{end.port, mac_bytes(end.mac), ipv4_bytes(end.address)});
    lab_[i].worker = &switch_.worker(switch_.worker_of(end.port));
    reference_[i].port = std::make_unique<TrafficPort>(
        traffic::StationConfig{"bench reference:" + end.port, mac_bytes(end.mac), ipv4_bytes(end.address)});
  }
  reference_wire_ = &switch_.add_beside(
      ends_[0].port, std::make_unique<vswitch::Wire>("bench reference", vswitch::Wire::Options{}));
  for (std::size_t i = 0; i < 2; ++i) {
    switch_.attach(*reference_wire_, *reference_[i].port);
    reference_[i].worker = &switch_.worker(switch_.worker_of(reference_[i].port->name()));
    displaced_[i] = &switch_.replace(*lab_[i].port);
  }
}

BenchSession::~BenchSession() {
  ending_ = true;
  ::shutdown(client_.get(), SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
  for (vswitch::Port* port : displaced_) {
    if (port != nullptr) (void)switch_.replace(*port);
  }
  switch_.remove(*reference_wire_);
}

void BenchSession::start(vswitch::FileDescriptor client, std::function<void()> on_end) {
  client_ = std::move(client);
  on_end_ = std::move(on_end);
  ::fcntl(client_.get(), F_SETFL, ::fcntl(client_.get(), F_GETFL) & ~O_NONBLOCK);
  thread_ = std::thread([this] { serve(); });
}

void BenchSession::serve() {
  std::string received;
  char chunk[4096];
  const auto send_whole = [&](const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t sent = ::send(client_.get(), text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      at += static_cast<std::size_t>(sent);
    }
    return true;
  };
  for (;;) {
    const std::size_t end = received.find('\n');
    if (end == std::string::npos) {
      const ssize_t got = ::recv(client_.get(), chunk, sizeof chunk, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || received.size() > control::kMaxRequest) break;
      received.append(chunk, static_cast<std::size_t>(got));
      continue;
    }
    control::Request request;
    std::string answer;
    try {
      request = control::parse_request(received.substr(0, end));
      answer = control::format_result(request.id, handle(request));
    } catch (const RequestError& error) {
      answer = control::format_error(request.id, error);
    } catch (const std::exception& error) {
      answer = control::format_error(request.id, RequestError(error.what()));
    }
    received.erase(0, end + 1);
    if (ending_ || !send_whole(answer)) break;
  }
  ::shutdown(client_.get(), SHUT_RDWR);
  on_end_();
}

bool BenchSession::pause(milliseconds time) const {
  pollfd wait{client_.get(), POLLRDHUP, 0};
  const int events = ::poll(&wait, 1, static_cast<int>(time.count()));
  return events <= 0 && !ending_;
}

Json BenchSession::handle(const control::Request& request) {
  if (request.verb == "prepare") return prepare(request.args);
  if (request.verb == "trial") return run_trial(request.args);
  throw RequestError("unknown verb '" + request.verb + "'", "prepare, trial");
}

Json BenchSession::prepare(const Json& args) {
  traffic::StreamShape shape;
  for (const Json& size : args.value("sizes", Json::array())) {
    const double bytes = size.is_number() ? size.get<double>() : 0;
    if (!(bytes >= traffic::kMinFrameSize && bytes <= traffic::kMaxFrameSize)) {
      throw RequestError(fmt::format("a frame size must be a number of bytes from {} to {}",
                                     traffic::kMinFrameSize, traffic::kMaxFrameSize));
    }
    shape.sizes.push_back(static_cast<std::size_t>(bytes));
  }
  if (shape.sizes.empty() || shape.sizes.size() > kMostSizes)
    throw RequestError(fmt::format("'sizes' must be a list of 1 to {} frame sizes", kMostSizes));
  shape.flows = static_cast<std::uint32_t>(number(args, "flows", 1, traffic::kMaxFlows, 1));

  prepared_ = false;
  for (std::size_t from = 0; from < 2; ++from) {
    shape.addresses = {mac_bytes(ends_[from].mac), resolve(from), ipv4_bytes(ends_[from].address),
                       ipv4_bytes(ends_[1 - from].address)};
    lab_[from].worker->run([&] { lab_[from].port->shape(shape); });
    // On the reference wire nobody stands between the two.
    shape.addresses.next_hop_mac = mac_bytes(ends_[1 - from].mac);
    reference_[from].worker->run([&] { reference_[from].port->shape(shape); });
  }
  path_delay_ = milliseconds(0);
  for (std::size_t from = 0; from < 2; ++from)
    probe(from, shape.sizes.size());
  prepared_ = true;
  return {{"path_delay_ms", path_delay_.count()}};
}

traffic::MacBytes BenchSession::resolve(std::size_t from) {
  const BenchEnd& end = ends_[from];
  const auto deadline = Clock::now() + kPathTimeout;
  milliseconds delay = kFirstRetry;
  TrafficPort& port = *lab_[from].port;
  do {
    port.resolve(ipv4_bytes(end.next_hop));
    if (!pause(delay)) throw RequestError("the benchmark was ended");
    delay = std::min(2 * delay, kLastRetry);
    if (const auto answer = port.resolved()) return *answer;
  } while (Clock::now() < deadline);
  throw RequestError(
      fmt::format("{}: nobody answers ARP for the next hop {}", end.port, to_string(end.next_hop)),
      "is that node up, and its address right? see: patchbay inspect --counters");
}

void BenchSession::probe(std::size_t from, std::size_t frames) {
  const auto deadline = Clock::now() + kPathTimeout;
  std::uint64_t sent = 0, arrived = 0;
  // Routers resolve their neighbours by the first frames, which they may drop.
  constexpr double kProbeRate = 10'000;
  const Trial trial{kProbeRate,
                    nanoseconds(static_cast<std::int64_t>(1e9 / kProbeRate * static_cast<double>(frames))),
                    {from},
                    true};
  do {
    path_delay_ = std::max(path_delay_, kFirstRetry);
    const std::vector<Direction> result = measure(lab_, trial);
    sent = result[0].sent.sent;
    arrived = result[0].received.frames;
    if (arrived == sent) {
      path_delay_ =
          std::max(path_delay_, std::chrono::ceil<milliseconds>(nanoseconds(result[0].latency.max())));
      return;
    }
  } while (Clock::now() < deadline);
  throw RequestError(
      fmt::format("{} -> {}: {} of {} probe frames arrived", ends_[from].port, ends_[1 - from].port, arrived,
                  sent),
      "is there a route in both directions, and does the largest frame fit every link's MTU? see: "
      "patchbay inspect --counters");
}

Json BenchSession::run_trial(const Json& args) {
  const auto path = args.value("path", std::string("lab"));
  if (path != "lab" && path != "reference")
    throw RequestError("unknown path '" + path + "'", "lab, reference");
  if (!prepared_) throw RequestError("no stream to send", "send prepare first");
  Trial trial;
  trial.rate = number(args, "rate", 0, kHighestRate, 0);
  trial.duration = milliseconds(static_cast<std::int64_t>(
      number(args, "milliseconds", 1, static_cast<double>(kLongestTrial.count()), 1000)));
  trial.senders = {0};
  if (flag(args, "bidirectional")) trial.senders.push_back(1);
  trial.latency = flag(args, "latency");

  Json directions = Json::array();
  for (const Direction& one : measure(path == "lab" ? lab_ : reference_, trial)) {
    Json entry{{"from", ends_[one.from].port},
               {"to", ends_[1 - one.from].port},
               {"seconds", std::chrono::duration<double>(one.sent.duration).count()},
               {"paused_seconds", std::chrono::duration<double>(one.sent.paused).count()},
               {"intended", one.sent.intended},
               {"sent", one.sent.sent},
               {"sent_bytes", one.sent.bytes},
               {"received", one.received.frames},
               {"lost", one.sent.sent - std::min(one.sent.sent, one.received.frames)},
               {"duplicates", one.received.duplicates},
               {"reordered", one.received.reordered},
               {"too_late", one.received.too_late},
               {"stale", one.received.stale},
               {"foreign", one.received.foreign}};
    if (trial.latency) entry["latency"] = describe(one.latency);
    directions.push_back(std::move(entry));
  }
  return {{"path", path}, {"rate", trial.rate}, {"directions", std::move(directions)}};
}

std::vector<BenchSession::Direction> BenchSession::measure(Path& path, const Trial& trial) {
  ++trial_;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto peer = static_cast<std::uint8_t>(1 - i);
    path[i].port->expect({peer, trial_, trial.latency});
  }
  for (const std::size_t i : trial.senders) {
    path[i].worker->run([&] {
      path[i].port->send({static_cast<std::uint8_t>(i), trial_, trial.rate, trial.duration});
    });
  }

  // A machine that runs us half of the time is still good for a trial, one that does not run us at all is
  // not.
  const auto deadline = Clock::now() + 4 * trial.duration + kPathTimeout;
  const auto any_sending = [&] {
    return std::any_of(path.begin(), path.end(), [](const Station& s) { return s.port->sending(); });
  };
  const auto stop_all = [&] {
    for (Station& station : path)
      station.worker->run([&] { station.port->stop(); });
  };
  while (any_sending()) {
    const auto step = std::clamp<nanoseconds>(trial.duration / 20, milliseconds(1), milliseconds(20));
    if (!pause(std::chrono::duration_cast<milliseconds>(step))) {
      stop_all();
      throw RequestError("the benchmark was ended");
    }
    if (Clock::now() > deadline) stop_all();
  }

  std::vector<Direction> result(trial.senders.size());
  const auto collect = [&] {
    std::uint64_t missing = 0, arrived = 0;
    for (std::size_t n = 0; n < result.size(); ++n) {
      Direction& one = result[n];
      const std::size_t i = one.from = trial.senders[n];
      path[i].worker->run([&] { one.sent = path[i].port->send_report(); });
      one.received = path[1 - i].port->receive_report();
      missing += one.sent.sent - std::min(one.sent.sent, one.received.frames);
      arrived += one.received.frames + one.received.duplicates;
    }
    return std::pair(missing, arrived);
  };
  const auto drain_end = Clock::now() + kLongestDrain;
  const auto quiet = kQuiet + 4 * path_delay_;
  auto [missing, arrived] = collect();
  auto last_arrival = Clock::now();
  while (missing != 0 && Clock::now() < drain_end && Clock::now() - last_arrival < quiet) {
    if (!pause(milliseconds(2))) throw RequestError("the benchmark was ended");
    const auto [still_missing, now_arrived] = collect();
    if (now_arrived != arrived) last_arrival = Clock::now();
    missing = still_missing;
    arrived = now_arrived;
  }
  if (trial.latency) {
    for (Direction& one : result) {
      const Station& sink = path[1 - one.from];
      one.latency = sink.port->latency();
    }
  }
  return result;
}

}  // namespace patchbay::tools
