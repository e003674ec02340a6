// The progress line of long work, on standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace margay {

// No progress at all (--quiet, --json); before the first Progress.
void set_progress_quiet(bool quiet);

// 85 -> "1m25s", 0.4 -> "0.4s", 7300 -> "2h02m".
std::string duration_text(double seconds);

// 1234567 -> "1.23 MB" for unit "B"; 5400 -> "5.4k steps" for other units.
std::string amount_text(double amount, const std::string& unit);

// A line with what, done / total, percent, rate, time left and a note. On a terminal it is redrawn at most 8 times a
// second; elsewhere it is written at the start, every 30 s and at the end. One at a time; not for several threads.
class Progress {
 public:
  // unit: "B" for bytes (printed as kB, MB, GB), else a plural ("steps", "tokens"). total 0: not known.
  Progress(std::string what, int64_t total, std::string unit);
  ~Progress();  // ends the line where finish() was not called (an error): what was done stays visible
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t n = 1);
  void note(std::string text);  // shown at the end of the line from the next drawing on, such as the loss
  void finish();                // the last drawing, with the whole time
  double seconds() const;       // since the start

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(bool last) const;
  void draw(bool last);

  std::string what_, unit_, note_;
  int64_t total_, done_ = 0;
  Clock::time_point start_, drawn_;
  bool terminal_ = false, quiet_ = false, finished_ = false;
  size_t width_ = 0;  // of the last drawing, to erase it
};

}  // namespace margay
