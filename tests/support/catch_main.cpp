// The main of every test program, compiled once, where Catch2 ships none of its own (version 2).
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
