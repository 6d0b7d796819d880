//! Answers the routes of the API from one table in which each row names its privilege.
