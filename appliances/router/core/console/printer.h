// Lines to the console's output, composed in place.
#pragma once

#include <array>

#include "appliances/router/core/environment.h"
#include "appliances/router/core/text.h"

namespace patchbay::router {

class Printer {
 public:
  explicit Printer(ConsoleOutput& output) noexcept : output_(output) {}

  /// Writes one line of the parts and ends it.
  template <typename... Parts>
  void line(const Parts&... parts) noexcept {
    begin();
    (void)(text_ << ... << parts);
    end();
  }
  /// Starts a line to be composed with the writer's functions; end() writes it.
  TextWriter& begin() noexcept {
    text_.clear();
    return text_;
  }
  [[nodiscard]] TextWriter& text() noexcept { return text_; }
  void end() noexcept {
    output_.write(text_.view());
    output_.write("\r\n");
  }
  /// Writes text as it is.
  void raw(std::string_view text) noexcept { output_.write(text); }

 private:
  ConsoleOutput& output_;
  std::array<char, 512> buffer_;
  TextWriter text_{buffer_};
};

}  // namespace patchbay::router
