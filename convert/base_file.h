// A model of any kind as a GGUF file, for work that needs one.
#pragma once
#include <functional>
#include <string>

namespace margay {

// A file that is removed when this leaves, however it leaves.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path = {}) : path_(std::move(path)) {}
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// `source` itself where it is GGUF; else it is converted to OUTPUT.base.gguf in its own type (floats that GGUF lacks in
// the next larger one), which is there as long as this object. `tokenizer` as in convert_model(). `say` is told so.
// Throws Error as the conversion does.
class BaseFile {
 public:
  BaseFile(const std::string& source, const std::string& output, int threads, const std::string& tokenizer,
           const std::function<void(const std::string&)>& say);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  TemporaryFile converted_;
};

}  // namespace margay
