// Nothing: precompiled.hpp is compiled beside it.
