// mutants --headers <include directory> --model <directory> --work <directory> --compiler <c++>
//         [--list <file>] [--only <part of a name>] [--jobs <n>] [--walks <n>] [--states <n>] [--seed <n>]
//         [--tests <directory> --main <objects and libraries>]
//
// Breaks each rule of the protocol on its own, in private copies of the headers, and runs the simulator on
// the result: it must find the fault. A mutant with a line `by <file>` is to be caught by that test instead,
// which is compiled from the directory of the tests; --main is what gives it a main function. Prints a table;
// exit status 0 when the simulator passes unbroken and catches every mutant, 1 when not, 2 for bad usage or a
// mutant that does not apply or compile.

#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct Edit {
  std::string file, find, replace;
};
struct Mutant {
  std::string name, rule, test;
  std::vector<Edit> edits;
};
struct Verdict {
  std::string text;
  double seconds = 0;
  bool good = false, usable = true;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  if (!(out << text)) throw std::runtime_error("cannot write " + path.string());
}

bool blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::vector<Mutant> parse(const fs::path& path) {
  std::vector<Mutant> mutants;
  std::istringstream lines(read(path));
  const auto append = [](std::string& text, const std::string& line) {
    if (!text.empty()) text += ' ';
    text += line.size() > 2 ? line.substr(2) : "";
  };
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line.rfind("@ ", 0) == 0)
      mutants.push_back({line.substr(2), "", "", {}});
    else if (mutants.empty())
      throw std::runtime_error("a line before the first mutant: " + line);
    else if (line.rfind("rule ", 0) == 0)
      mutants.back().rule = line.substr(5);
    else if (line.rfind("by ", 0) == 0)
      mutants.back().test = line.substr(3);
    else if (line.rfind("file ", 0) == 0)
      mutants.back().edits.push_back({line.substr(5), "", ""});
    else if (!mutants.back().edits.empty() && line[0] == '-')
      append(mutants.back().edits.back().find, line);
    else if (!mutants.back().edits.empty() && line[0] == '+')
      append(mutants.back().edits.back().replace, line);
    else
      throw std::runtime_error("a line that is not understood: " + line);
  }
  return mutants;
}

/// The length of the text at `at` that equals `pattern`, blanks counting as one; npos where it does not.
std::size_t match(const std::string& text, std::size_t at, const std::string& pattern) {
  std::size_t t = at;
  for (std::size_t p = 0; p < pattern.size();) {
    if (blank(pattern[p])) {
      if (t == text.size() || !blank(text[t])) return std::string::npos;
      while (p < pattern.size() && blank(pattern[p])) ++p;
      while (t < text.size() && blank(text[t])) ++t;
    } else if (t < text.size() && text[t] == pattern[p]) {
      ++t, ++p;
    } else {
      return std::string::npos;
    }
  }
  return t - at;
}

std::string edited(const std::string& text, const Edit& edit) {
  std::size_t where = std::string::npos, length = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t found = match(text, at, edit.find);
    if (found == std::string::npos) continue;
    if (where != std::string::npos)
      throw std::runtime_error("found twice in " + edit.file + ": " + edit.find);
    where = at, length = found;
  }
  if (where == std::string::npos) throw std::runtime_error("not found in " + edit.file + ": " + edit.find);
  return text.substr(0, where) + edit.replace + text.substr(where + length);
}

class Runner {
 public:
  explicit Runner(std::map<std::string, std::string> options) : options_(std::move(options)) {}

  int run() {
    std::vector<Mutant> mutants;
    const std::string list = option("--list", option("--model", "") + "/mutants.txt");
    for (Mutant& mutant : parse(list))
      if (mutant.name.find(option("--only", "")) != std::string::npos) mutants.push_back(std::move(mutant));
    const std::size_t broken = mutants.size();
    std::set<std::string> tests;
    for (const Mutant& mutant : mutants) tests.insert(mutant.test);
    for (const std::string& test : tests)
      mutants.insert(mutants.begin(),
                     {test.empty() ? "(nothing broken)" : "(nothing broken) " + test, "", test, {}});
    std::printf("seed %s\n%-66s %-7s %8s  %s\n", option("--seed", "1").c_str(), "mutant", "rule", "seconds",
                "verdict");
    std::atomic<std::size_t> next{0};
    std::atomic<int> bad{0};
    std::vector<std::thread> threads;
    const int jobs = std::atoi(option("--jobs", "2").c_str());
    for (int i = 0; i < jobs; ++i)
      threads.emplace_back([&] {
        for (std::size_t n = next++; n < mutants.size(); n = next++) {
          const Verdict verdict = judge(mutants[n], n);
          if (!verdict.good) ++bad;
          std::lock_guard lock(printing_);
          std::printf("%-66s %-7.7s %8.1f  %s\n", mutants[n].name.c_str(), mutants[n].rule.c_str(),
                      verdict.seconds, verdict.text.c_str());
          std::fflush(stdout);
        }
      });
    for (std::thread& thread : threads) thread.join();
    std::printf("%zu mutants, %d not as they should be\n", broken, bad.load());
    return bad == 0 ? 0 : 1;
  }

 private:
  std::string option(const std::string& name, const std::string& otherwise) const {
    const auto found = options_.find(name);
    return found == options_.end() ? otherwise : found->second;
  }

  Verdict judge(const Mutant& mutant, std::size_t number) {
    const auto begin = std::chrono::steady_clock::now();
    Verdict verdict;
    try {
      const fs::path place = fs::path(option("--work", ".")) / ("mutant" + std::to_string(number));
      prepare(place, mutant);
      verdict = mutant.test.empty() ? compile_and_run(place, mutant.edits.empty())
                                    : compile_and_test(place, mutant.test, mutant.edits.empty());
      if (verdict.good) fs::remove_all(place);
    } catch (const std::exception& error) {
      verdict.text = std::string("UNUSABLE: ") + error.what();
    }
    verdict.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return verdict;
  }

  void prepare(const fs::path& place, const Mutant& mutant) {
    fs::remove_all(place);
    fs::create_directories(place / "model");
    fs::copy(fs::path(option("--headers", "")) / "paidonce", place / "paidonce", fs::copy_options::recursive);
    if (mutant.test.empty())
      for (const auto& entry : fs::directory_iterator(option("--model", "")))
        if (entry.path().extension() == ".hpp" || entry.path().filename() == "simulator.cpp")
          fs::copy_file(entry.path(), place / "model" / entry.path().filename());
    for (const Edit& edit : mutant.edits)
      write_file(place / edit.file, edited(read(place / edit.file), edit));
  }

  Verdict compile_and_run(const fs::path& place, bool must_pass) {
    const std::string at = "'" + place.string() + "'";
    const std::string compile = option("--compiler", "c++") + " -std=c++20 -O0 -w -I" + at + " " + at +
                                "/model/simulator.cpp -o " + at + "/simulator > " + at + "/log 2>&1";
    Verdict verdict;
    if (std::system(compile.c_str()) != 0) {
      verdict.text = "UNUSABLE: does not compile, see " + (place / "log").string();
      return verdict;
    }
    const std::string simulate = at + "/simulator --hunt --walks " + option("--walks", "500") + " --states " +
                                 option("--states", "20000") + " --seed " + option("--seed", "1") + " > " +
                                 at + "/log 2>&1";
    const int status = std::system(simulate.c_str());
    const std::string log = read(place / "log");
    const std::size_t broken = log.find("BROKEN ");
    if (must_pass) {
      verdict.good = status == 0;
      verdict.text = status == 0 ? "passes" : "FAILS: " + log;
    } else if (broken == std::string::npos) {
      verdict.text = status == 0 ? "SURVIVED" : "ENDED BADLY: " + log;
    } else {
      verdict.good = true;
      verdict.text = "caught by " + log.substr(broken + 7, log.find('\n', broken) - broken - 7);
    }
    return verdict;
  }

  /// A test of Catch2, up to its first failure. One that does not come to an end has caught it, too.
  Verdict compile_and_test(const fs::path& place, const std::string& test, bool must_pass) {
    const std::string at = "'" + place.string() + "'", tests = option("--tests", "");
    const std::string compile = option("--compiler", "c++") + " -std=c++20 -O0 -w -pthread -I" + at + " -I'" +
                                tests + "' " + option("--defines", "") + " '" + tests + "/" + test + "' " +
                                option("--main", "") + " -o " + at + "/test > " + at + "/log 2>&1";
    Verdict verdict;
    if (std::system(compile.c_str()) != 0) {
      verdict.text = "UNUSABLE: does not compile, see " + (place / "log").string();
      return verdict;
    }
    const int status =
        std::system(("timeout 400 " + at + "/test --abort '~[soak]~[.]' > " + at + "/log 2>&1").c_str());
    verdict.good = (status == 0) == must_pass;
    verdict.text = must_pass ? (status == 0 ? "passes" : "FAILS, see " + (place / "log").string())
                             : (status == 0 ? "SURVIVED " + test : "caught by " + test);
    return verdict;
  }

  std::map<std::string, std::string> options_;
  std::mutex printing_;
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  if (argc % 2 == 0 || !options.count("--headers") ||
      !(options.count("--model") || options.count("--list"))) {
    std::fprintf(
        stderr,
        "usage: mutants --headers <dir> --model <dir> --work <dir> --compiler <c++> [--only <text>] ...\n");
    return 2;
  }
  try {
    return Runner(std::move(options)).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mutants: %s\n", error.what());
    return 2;
  }
}
