#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <utility>

namespace margay {
namespace {

constexpr double kRedrawSeconds = 0.125, kPlainLineSeconds = 30;
std::atomic<bool> all_quiet{false};

size_t terminal_columns() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

void set_progress_quiet(bool quiet) { all_quiet = quiet; }

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<int64_t>(std::min(seconds, 1e9) + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

std::string amount_text(double amount, const std::string& unit) {
  const bool bytes = unit == "B";
  const char* prefix = "";
  for (const char* larger : {"k", "M", "G", "T"}) {
    if (std::fabs(amount) < (*prefix || bytes ? 999.5 : 9999.5)) break;
    amount /= 1000;
    prefix = larger;
  }
  const bool whole = amount == std::floor(amount) && std::fabs(amount) < 1e4;
  const int decimals = std::fabs(amount) >= 99.95 || (whole && !*prefix) ? 0 : std::fabs(amount) >= 9.995 ? 1 : 2;
  const std::string number = fmt::format("{:.{}f}", amount, decimals);
  if (bytes) return fmt::format("{} {}B", number, prefix);
  return unit.empty() ? number + prefix : fmt::format("{}{} {}", number, prefix, unit);
}

Progress::Progress(std::string what, int64_t total, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), total_(total), start_(Clock::now()), drawn_(start_) {
  quiet_ = all_quiet;
  terminal_ = isatty(STDERR_FILENO) == 1;
  if (!quiet_) draw(false);
}

Progress::~Progress() {
  if (!finished_ && !quiet_ && terminal_) std::fputc('\n', stderr);
}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::advance(int64_t n) {
  done_ += n;
  if (quiet_ || finished_) return;
  const double since = std::chrono::duration<double>(Clock::now() - drawn_).count();
  if (since >= (terminal_ ? kRedrawSeconds : kPlainLineSeconds)) draw(false);
}

void Progress::note(std::string text) { note_ = std::move(text); }

void Progress::finish() {
  if (std::exchange(finished_, true) || quiet_) return;
  draw(true);
}

// "quantizing: 1.2 GB of 4.1 GB (29 %), 310 MB/s, 9s left, blk.3.ffn_up.weight"
std::string Progress::line(bool last) const {
  const double elapsed = seconds(), done = static_cast<double>(done_);
  std::string text = what_ + ": ";
  if (total_ > 0 && !last) {
    const bool bytes = unit_ == "B";
    text += fmt::format("{} of {} ({:.0f} %)", amount_text(done, bytes ? unit_ : ""),
                        amount_text(static_cast<double>(total_), unit_), 100 * done / static_cast<double>(total_));
  } else {
    text += amount_text(done, unit_);
  }
  if (last) text += " in " + duration_text(elapsed);
  if (done_ > 0 && elapsed > 0) {
    const double rate = done / elapsed;
    text += fmt::format(", {}/s", amount_text(rate, unit_));
    if (total_ > done_ && !last)
      text += fmt::format(", {} left", duration_text((static_cast<double>(total_) - done) / rate));
  }
  if (!note_.empty()) text += ", " + note_;
  return text;
}

void Progress::draw(bool last) {
  drawn_ = Clock::now();
  std::string text = line(last);
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const size_t columns = terminal_columns() - 1;
  if (text.size() > columns) text.resize(columns);
  const size_t erase = width_ > text.size() ? width_ - text.size() : 0;
  std::fprintf(stderr, "\r%s%*s%s", text.c_str(), static_cast<int>(erase), "", last ? "\n" : "");
  std::fflush(stderr);
  width_ = text.size();
}

}  // namespace margay
