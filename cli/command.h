// A subcommand: one file, one row in main.cpp. The cli is the only place that prints.
#pragma once
#include <CLI/CLI.hpp>

namespace margay {

// Adds options to `app` and sets its callback. Results go to standard output, everything else to standard error;
// mistakes of the user's in wrong usage throw CLI::ValidationError (exit code 2), everything else margay::Error (1).
using AddCommand = void (*)(CLI::App& app);

void add_bench(CLI::App& app);
void add_convert(CLI::App& app);
void add_export(CLI::App& app);
void add_imatrix(CLI::App& app);
void add_inspect(CLI::App& app);
void add_linearize(CLI::App& app);
void add_logits(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_quantize(CLI::App& app);
void add_report(CLI::App& app);
void add_run(CLI::App& app);
void add_sample(CLI::App& app);
void add_tokenize(CLI::App& app);

}  // namespace margay
