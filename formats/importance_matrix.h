// Importance matrices: how large the inputs of each weight matrix are, column by column, over a text. Quantizers weigh
// errors by them. Read from llama.cpp's files, GGUF and the older .dat; written as GGUF.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace margay {

struct ImportanceEntry {
  std::vector<double> sums;    // of squared inputs, by column (of several matrices one after the other, with experts)
  std::vector<double> counts;  // tokens that each matrix has seen
};

struct ImportanceMatrix {
  std::map<std::string, ImportanceEntry> entries;  // by the name of the weight
  std::vector<std::string> datasets;               // names of the texts
  int64_t chunks = 0, chunk_tokens = 0;            // windows, and tokens of each; 0: not known
  std::string origin;                              // the file's name, without folders

  // Weights of a tensor's columns, 1 on average; empty where the matrix says nothing about it. Throws Error where it is
  // of another size.
  std::vector<float> weights(const std::string& tensor, int64_t columns) const;
};

// Throws Error on a damaged file.
ImportanceMatrix read_importance_matrix(const std::string& path);
// In GGUF, atomically.
void write_importance_matrix(const std::string& path, const ImportanceMatrix& matrix);

}  // namespace margay
