#pragma once
// What happened to messages, written down by all processes of a run: only to be counted at the end, and to
// know when that is. No payment depends on it.

#include <filesystem>
#include <string>
#include <vector>

namespace queue_worker {

/// The words of a journal. A message is settled by `paid`, `asked`, `replayed` or `dead`.
enum class Word { sent, all_sent, received, paid, asked, replayed, dead, killed };

struct Line {
  Word word = Word::sent;
  std::string message = {};  ///< the broker's id, or "-"
};

/// Any number of processes and threads may write to it. Throws std::system_error.
class Journal {
 public:
  explicit Journal(const std::filesystem::path& file);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void clear();
  void write(Word word, const std::string& message = "-");
  std::vector<Line> read() const;

 private:
  int file_;
};

/// Whether so many producers have ended, and all that they sent is settled.
bool is_done(const std::vector<Line>& lines, unsigned producers);

}  // namespace queue_worker
