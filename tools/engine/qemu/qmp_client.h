// The QEMU Machine Protocol on a stream socket (QEMU's docs/interop/qmp-spec.txt): commands with their answers, and
// events. QEMU is believed as far as its guest may have taken it over: text that is no QMP ends the conversation, and
// costs a bounded amount of memory.
//
// Threads: everything on the engine's loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/engine/loop_watch.h"

namespace patchbay::tools::qemu {

class QmpClient {
 public:
  using Json = nlohmann::json;
  /// One of both: the "return" value, or why not.
  using Answer = std::function<void(const Json& result, const std::string& error)>;
  using Event = std::function<void(const std::string& name, const Json& data)>;
  static constexpr std::size_t kLongestLine = 1U << 20U;

  /// Throws std::system_error. No call comes after the destructor; calls may destroy this.
  QmpClient(boost::asio::io_context& loop, vswitch::FileDescriptor socket, Event on_event);

  /// QEMU has said hello and takes commands.
  [[nodiscard]] bool is_ready() const noexcept { return ready_; }
  /// What came was no QMP, or the other end is closed.
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }
  /// May come before QEMU is ready. Without an answer if the conversation ends first.
  void execute(const std::string& command, const Json& arguments = Json::object(), Answer answer = {});
  /// Handles what has arrived, without waiting for the loop's turn: events come before what they announce.
  void process();

 private:
  /// False if it is no QMP.
  [[nodiscard]] bool handle(std::string_view line);
  void send(const Json& command);
  void flush();

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Event on_event_;
  std::string in_;
  std::string out_;
  std::string held_;  // commands until QEMU is ready
  std::map<std::uint64_t, Answer> waiting_;
  std::uint64_t last_id_ = 0;
  bool ready_ = false;
  bool ended_ = false;
  std::unique_ptr<LoopWatch> socket_;
};

}  // namespace patchbay::tools::qemu
