#include "appliances/router/core/console/line_editor.h"

#include <algorithm>

namespace patchbay::router {
namespace {

constexpr char control(char letter) noexcept {
  return static_cast<char>(letter & 0x1F);
}

}  // namespace

void LineEditor::erase(std::size_t count) noexcept {
  for (; count != 0 && size_ != 0; --count, --size_)
    output_.write("\b \b");
}

void LineEditor::type(std::string_view text) noexcept {
  const std::size_t count = std::min(text.size(), kMaxLine - size_);
  std::copy_n(text.data(), count, line_.data() + size_);
  size_ += count;
  output_.write({text.data(), count});
}

void LineEditor::reset(bool remember) noexcept {
  if (remember && size_ != 0) {
    const bool repeated = remembered_ != 0 && history_[(remembered_ - 1) % kHistory] == line();
    if (!repeated) history_[remembered_++ % kHistory].assign(line());
  }
  size_ = 0;
  recalled_ = 0;
}

void LineEditor::recall(std::size_t age) noexcept {
  if (age > std::min(remembered_, kHistory)) return;
  erase(size_);
  recalled_ = age;
  if (age != 0) type(history_[(remembered_ - age) % kHistory].view());
}

LineEditor::Event LineEditor::feed(char c) noexcept {
  if (c >= 0 && c < ' ')
    escape_ = Escape::none;  // control characters end an escape sequence and count themselves
  if (escape_ == Escape::started) {
    escape_ = c == '[' ? Escape::bracket : Escape::none;
    return Event::none;
  }
  if (escape_ == Escape::bracket) {
    // Parameters may stand before the final character (ECMA-48, 5.4).
    if (c < '@' || c > '~') return Event::none;
    escape_ = Escape::none;
    if (c == 'A') recall(recalled_ + 1);
    if (c == 'B' && recalled_ != 0) recall(recalled_ - 1);
    return Event::none;
  }
  const bool second_half = c == '\n' && after_return_;
  after_return_ = c == '\r';
  switch (c) {
    case '\n':
    case '\r':
      if (second_half) return Event::none;
      output_.write("\r\n");
      return Event::line;
    case '\b':
    case '\x7F':
      erase(1);
      return Event::none;
    case control('C'):
      output_.write("^C\r\n");
      return Event::interrupt;
    case control('D'):
      return size_ == 0 ? Event::end_of_input : Event::none;
    case control('U'):
      erase(size_);
      return Event::none;
    case control('W'):
      while (size_ != 0 && line_[size_ - 1] == ' ')
        erase(1);
      while (size_ != 0 && line_[size_ - 1] != ' ')
        erase(1);
      return Event::none;
    case '\x1B':
      escape_ = Escape::started;
      return Event::none;
    case '\t':
      return Event::complete;
    case '?':
      output_.write("?\r\n");
      return Event::help;
    default:
      if (c >= ' ' && c < '\x7F' && size_ < kMaxLine) type({&c, 1});
      return Event::none;
  }
}

}  // namespace patchbay::router
