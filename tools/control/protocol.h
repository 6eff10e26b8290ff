// What the patchbay program and a lab's engine say to each other over the lab's control socket.
//
// A client sends one JSON object per line and gets one per line back, in order:
//   {"id": 7, "verb": "inspect", "args": {...}}
//   {"id": 7, "ok": true, "result": {...}}
//   {"id": 7, "ok": false, "error": {"message": "there is no node 'r9'", "hint": "nodes: h1, h2, r1"}}
// After the reply to some verbs (capture, console) the connection is a raw byte stream until either side
// closes it.
//
// Both sides distrust the other's bytes: parsing throws ProtocolError and nothing else.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace patchbay::tools::control {

using Json = nlohmann::json;

/// Longest line of a request in bytes, newline excluded.
inline constexpr std::size_t kMaxRequest = 64 * 1024;
/// Longest line of a reply: the listing of a large lab.
inline constexpr std::size_t kMaxReply = 64 * 1024 * 1024;

class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A request that cannot be met: the cause, and the way out where there is one.
class RequestError : public std::runtime_error {
 public:
  explicit RequestError(const std::string& message, std::string hint = {})
      : std::runtime_error(message), hint_(std::move(hint)) {}
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  std::string hint_;
};

struct Request {
  std::uint64_t id = 0;
  std::string verb;
  Json args = Json::object();  // always an object
};

[[nodiscard]] Request parse_request(std::string_view line);
[[nodiscard]] std::string format_request(const Request& request);

/// The lines of a reply, newline included.
[[nodiscard]] std::string format_result(std::uint64_t id, const Json& result);
[[nodiscard]] std::string format_error(std::uint64_t id, const RequestError& error);
/// The result of the reply to request `id`. Throws RequestError for a refusal, ProtocolError for anything
/// that is not a reply to it.
[[nodiscard]] Json parse_reply(std::string_view line, std::uint64_t id);

/// args[name] as text. Throw RequestError naming the argument.
[[nodiscard]] std::string text_argument(const Request& request, const char* name);
[[nodiscard]] std::string text_argument(const Request& request, const char* name,
                                        const std::string& otherwise);

}  // namespace patchbay::tools::control
