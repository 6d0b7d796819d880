//! Makes and checks passwords, codes and tokens.
