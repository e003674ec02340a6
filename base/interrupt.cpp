#include "base/interrupt.h"

#include <csignal>

namespace margay {
namespace {

volatile std::sig_atomic_t flag = 0;

extern "C" void margay_on_signal(int signal) {
  flag = 1;
  std::signal(signal, SIG_DFL);  // the second one kills
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = margay_on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // reads and writes go on; the loop looks at the flag
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return flag != 0; }

void throw_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

void set_interrupted(bool value) {
  flag = value ? 1 : 0;
  // A handled interruption counts as the first one no more.
  if (!value) install_interrupt_handler();
}

}  // namespace margay
