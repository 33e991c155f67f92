// Package storagedb is the typed Go that sqlc makes of db/queries, with the few types that the columns mean.
//
// Package store is the one to import: it adds transactions, validation and errors. This package is for those who run
// their own queries beside the store's, on the DBTX of a store or of a transaction.
//
// Its subpackages pgdb and sqlitedb hold the queries that only one engine has. Their rows have the same fields as the
// rows here, so that storagedb.Generation(row) converts them, and stops compiling as soon as the schemas differ.
package storagedb
