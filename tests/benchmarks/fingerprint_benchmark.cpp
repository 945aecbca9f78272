// What keys and fingerprints cost, beside OpenSSL's one-shot digest of the same bytes in the same run. The
// goal: a fingerprint of 300 bytes takes no longer. The last lines give the ratios.

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>

#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace paidonce;

const std::string& request() {
  static const std::string bytes(300, 'r');
  return bytes;
}

void openssl_one_shot(benchmark::State& state) {
  const std::string& bytes = request();
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    unsigned char digest[32];
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
    benchmark::DoNotOptimize(digest);
  }
}
void openssl_evp_digest(benchmark::State& state) {
  const std::string& bytes = request();
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    unsigned char digest[32];
    EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
    benchmark::DoNotOptimize(digest);
  }
}
void openssl_reused_context(benchmark::State& state) {
  const std::string& bytes = request();
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    unsigned char digest[32];
    EVP_DigestInit_ex2(context, algorithm, nullptr);
    EVP_DigestUpdate(context, bytes.data(), bytes.size());
    EVP_DigestFinal_ex(context, digest, nullptr);
    benchmark::DoNotOptimize(digest);
  }
  EVP_MD_CTX_free(context);
  EVP_MD_free(algorithm);
}
BENCHMARK(openssl_one_shot);
BENCHMARK(openssl_evp_digest);
BENCHMARK(openssl_reused_context);

void fingerprint_of_300_bytes(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(request().data());
    benchmark::DoNotOptimize(fingerprint(request()));
  }
}
void fingerprint_of_300_bytes_in_three(benchmark::State& state) {
  const std::string third(100, 'r');
  for (auto _ : state) {
    benchmark::DoNotOptimize(third.data());
    benchmark::DoNotOptimize(fingerprint(third, third, third));
  }
}
void fingerprint_of_an_order(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(fingerprint("order-1001", "4.50", "EUR"));
}
void fingerprint_under_a_secret(benchmark::State& state) {
  const Fingerprinter under_secret("a secret of the shop");
  for (auto _ : state) {
    benchmark::DoNotOptimize(request().data());
    benchmark::DoNotOptimize(under_secret(request()));
  }
}
void fingerprint_under_two_secrets(benchmark::State& state) {
  const Fingerprinter under_secret("a secret of the shop", {"the one before"});
  for (auto _ : state) {
    benchmark::DoNotOptimize(request().data());
    benchmark::DoNotOptimize(under_secret(request()));
  }
}
void portable_sha256_of_300_bytes(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(request().data());
    detail::Sha256 hash(detail::sha256_compress_portable);
    hash.update(request());
    benchmark::DoNotOptimize(hash.finish());
  }
}
BENCHMARK(fingerprint_of_300_bytes);
BENCHMARK(fingerprint_of_300_bytes_in_three);
BENCHMARK(fingerprint_of_an_order);
BENCHMARK(fingerprint_under_a_secret);
BENCHMARK(fingerprint_under_two_secrets);
BENCHMARK(portable_sha256_of_300_bytes);

void key_of_32_bytes(benchmark::State& state) {
  const std::string text(32, 'k');
  for (auto _ : state) {
    benchmark::DoNotOptimize(text.data());
    benchmark::DoNotOptimize(IdempotencyKey("coffee-shop", text));
  }
}
void hash_of_32_bytes(benchmark::State& state) {
  const std::string text(32, 'k');
  for (auto _ : state) {
    benchmark::DoNotOptimize(text.data());
    benchmark::DoNotOptimize(detail::hash64(text));
  }
}
void random_number(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(detail::random_u64());
}
void uuid_version_4(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(uuid_v4());
}
void uuid_version_7(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(uuid_v7(Timestamp{Duration{1'700'000'000'000}}));
}
BENCHMARK(key_of_32_bytes);
BENCHMARK(hash_of_32_bytes);
BENCHMARK(random_number);
BENCHMARK(uuid_version_4);
BENCHMARK(uuid_version_7);

/// The usual table, whose times are kept for the ratios.
class Ratios : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      const double ns = run.cpu_accumulated_time / static_cast<double>(run.iterations);
      double& best = best_[run.run_name.function_name];
      if (best == 0 || ns < best) best = ns;
    }
  }

  void print(const std::string& name, const std::string& over) const {
    const auto a = best_.find(name), b = best_.find(over);
    if (a == best_.end() || b == best_.end()) return;
    std::printf("%s / %s = %.2f (goal: at most 1)\n", name.c_str(), over.c_str(), a->second / b->second);
  }

 private:
  std::map<std::string, double> best_;  // CPU time of the fastest repetition
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  ratios.print("fingerprint_of_300_bytes", "openssl_one_shot");
  ratios.print("fingerprint_of_300_bytes_in_three", "openssl_one_shot");
  ratios.print("fingerprint_of_300_bytes", "openssl_evp_digest");
}
