// Ctrl-C during long work: the loop finishes its step, keeps what it has, and the program leaves in order.
#pragma once
#include "base/error.h"

namespace margay {

// Thrown by throw_if_interrupted(). It is an Error, so that whoever handles those cleans up (temporary files go, a
// trainer writes its checkpoint); main ends with code 130 when it sees this one.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted") {}
};

// SIGINT and SIGTERM set a flag; the second signal kills at once. Call it once, in main.
void install_interrupt_handler();
bool interrupted();
// Long loops call this once a step (a tensor, a batch, a chunk of a file), outside Team::run, on the main thread.
void throw_if_interrupted();
// Sets or clears the flag by hand: for tests, and for a chat whose answer was interrupted.
void set_interrupted(bool value);

}  // namespace margay
