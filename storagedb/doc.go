// Package storagedb has the rows of the database, the types of their columns, and the queries in Go.
//
// Import package store instead: it adds transactions, validation and errors. This package is for programs that run the
// generated queries themselves, on the [DBTX] of a store or of a transaction. These queries check no parameters.
//
// sqlc generates the rows and the queries from db/migrations and db/queries, which have the SQL. A query is a method of
// [Queries], and its doc begins with the index that serves it. A struct named Params has the parameters of the query of
// that name, a struct named Row its result. A query that returns one row returns pgx.ErrNoRows if there is none.
//
// The subpackages pgdb and sqlitedb have the queries that only one engine has. Their rows have the same fields as the
// rows here. storagedb.Generation(row) converts one, and stops compiling if the schemas differ.
package storagedb
