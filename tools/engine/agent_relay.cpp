#include "tools/engine/agent_relay.h"

#include <algorithm>
#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <string>

namespace patchbay::tools {

using agent::FrameHeader;
using agent::Type;

namespace {

class Relay final : public AgentSession, public std::enable_shared_from_this<Relay> {
 public:
  Relay(boost::asio::io_context& loop, AgentChannel& channel, vswitch::FileDescriptor client)
      : channel_(&channel), client_(loop, boost::asio::local::stream_protocol(), client.release()) {}

  void begin(std::uint32_t session) {
    session_ = session;
    read_client();
  }

  // --- from the guest
  void output(Type stream, std::string_view bytes) override { to_client(stream, bytes); }
  void input_window(std::uint32_t bytes) override {
    window_ = std::min(window_ + bytes, agent::kWindow);
    forward_input();
    read_client();
  }
  void exited(int status, std::string_view text) override {
    channel_ = nullptr;
    std::string payload(sizeof(std::int32_t), '\0');
    const std::int32_t value = status;
    std::memcpy(payload.data(), &value, sizeof value);
    to_client(Type::exit, payload.append(text));
  }

 private:
  void to_client(Type type, std::string_view payload) {
    std::array<char, FrameHeader::kBytes> header;
    FrameHeader{0, type, static_cast<std::uint32_t>(payload.size())}.encode(header.data());
    queued_.append(header.data(), header.size()).append(payload);
    queued_output_ += type == Type::exit ? 0 : static_cast<std::uint32_t>(payload.size());
    write_client();
  }

  void write_client() {
    if (writing_ || queued_.empty()) return;
    writing_ = true;
    being_written_.swap(queued_);
    const std::uint32_t output = std::exchange(queued_output_, 0);
    boost::asio::async_write(
        client_, boost::asio::buffer(being_written_),
        [self = shared_from_this(), output](const boost::system::error_code& error, std::size_t) {
          self->writing_ = false;
          self->being_written_.clear();
          if (error) return self->client_gone();
          if (self->channel_ != nullptr) self->channel_->consumed(self->session_, output);
          if (self->channel_ == nullptr && self->queued_.empty()) return self->client_gone();
          self->write_client();
        });
  }

  void read_client() {
    // What the guest does not take yet stays with the client.
    if (reading_ || channel_ == nullptr || input_.size() >= agent::kWindow) return;
    reading_ = true;
    client_.async_read_some(
        boost::asio::buffer(buffer_),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
          self->reading_ = false;
          if (error || !self->take({self->buffer_.data(), count})) return self->client_gone();
          self->forward_input();
          self->read_client();
        });
  }

  /// False if the client breaks the protocol.
  bool take(std::string_view bytes) {
    frames_.append(bytes);
    std::size_t at = 0;
    while (frames_.size() - at >= FrameHeader::kBytes) {
      const FrameHeader header = FrameHeader::decode(frames_.data() + at);
      if (header.length > agent::kMaxPayload) return false;
      if (frames_.size() - at - FrameHeader::kBytes < header.length) break;
      const std::string_view payload(frames_.data() + at + FrameHeader::kBytes, header.length);
      at += FrameHeader::kBytes + header.length;
      if (header.type == Type::input) {
        input_.append(payload);
        input_ended_ |= payload.empty();
      } else if (header.type == Type::signal && payload.size() == sizeof(std::uint32_t)) {
        std::uint32_t number = 0;
        std::memcpy(&number, payload.data(), sizeof number);
        if (channel_ != nullptr) channel_->signal(session_, number);
      } else {
        return false;
      }
    }
    frames_.erase(0, at);
    return true;
  }

  void forward_input() {
    if (channel_ == nullptr) return;
    const std::size_t portion = std::min<std::size_t>(input_.size(), window_);
    if (portion != 0) {
      channel_->input(session_, std::string_view(input_).substr(0, portion));
      window_ -= static_cast<std::uint32_t>(portion);
      input_.erase(0, portion);
    }
    if (input_.empty() && input_ended_ && !end_sent_) {
      end_sent_ = true;
      channel_->input(session_, {});
    }
  }

  void client_gone() {
    if (channel_ != nullptr) std::exchange(channel_, nullptr)->drop(session_);
    boost::system::error_code ignored;
    client_.close(ignored);
  }

  AgentChannel* channel_;  // nullptr once the command has ended
  boost::asio::local::stream_protocol::socket client_;
  std::uint32_t session_ = 0;

  std::array<char, 16 * 1024> buffer_;
  bool reading_ = false;
  std::string frames_;
  std::string input_;
  bool input_ended_ = false;
  bool end_sent_ = false;
  std::uint32_t window_ = agent::kWindow;

  bool writing_ = false;
  std::string queued_;
  std::string being_written_;
  std::uint32_t queued_output_ = 0;  // bytes of the guest's output in queued_
};

}  // namespace

void relay_command(boost::asio::io_context& loop, AgentChannel& channel, const Command& command,
                   vswitch::FileDescriptor client) {
  const auto relay = std::make_shared<Relay>(loop, channel, std::move(client));
  relay->begin(channel.start(command, relay));
}

}  // namespace patchbay::tools
