package store

import (
	"context"
	"errors"
	"time"
)

var errPending = errors.New("store: not there yet")

func (s *Store) Backup(ctx context.Context, path string) error { return errPending }

func Restore(ctx context.Context, path, url string) error { return errPending }

type TransferOptions struct {
	BatchSize int
	Progress  func(TransferProgress)
}

type TransferProgress struct {
	Table       string
	Done, Total int64
	Comparing   bool
}

type TransferReport struct {
	Tables  []TransferredTable `json:"tables"`
	Resumed bool               `json:"resumed"`
}

type TransferredTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

func Transfer(ctx context.Context, fromURL, toURL string, opts TransferOptions) (TransferReport, error) {
	return TransferReport{}, errPending
}

type PruneParams struct {
	OlderThan         time.Duration
	Statuses          []Status
	KeepFavorites     bool
	DropUnusedPrompts bool
	DryRun            bool
}

type PruneReport struct {
	Generations int64    `json:"generations"`
	Prompts     int64    `json:"prompts"`
	FilePaths   []string `json:"file_paths"`
}

func (s *Store) Prune(ctx context.Context, params PruneParams) (PruneReport, error) {
	return PruneReport{}, errPending
}

type FindingKind string

type CheckParams struct{ FilesRoot string }

type Finding struct {
	Kind       FindingKind `json:"kind"`
	ID         string      `json:"id"`
	Detail     string      `json:"detail"`
	Repairable bool        `json:"repairable"`
}

type CheckReport struct {
	Findings []Finding             `json:"findings"`
	Counts   map[FindingKind]int64 `json:"counts"`
}

func (s *Store) Check(ctx context.Context, params CheckParams) (CheckReport, error) {
	return CheckReport{}, errPending
}

func (s *Store) Repair(ctx context.Context, params CheckParams) (CheckReport, error) {
	return CheckReport{}, errPending
}

type OptimizeParams struct{ Vacuum bool }

func (s *Store) Optimize(ctx context.Context, params OptimizeParams) error { return errPending }
