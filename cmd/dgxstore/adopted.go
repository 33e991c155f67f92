package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgx-music/storage/store"
)

// isPython reports whether the database is one of the Python service that migrate would adopt.
func (a *app) isPython(ctx context.Context) (bool, error) {
	s, err := a.open(ctx)
	if err == nil {
		return false, s.Close()
	}
	if errors.Is(err, store.ErrSchemaOutdated) {
		return errors.Is(err, store.ErrPythonDatabase), nil
	}
	return false, err
}

// adopted describes the database after the adoption.
func (a *app) adopted(ctx context.Context) (*adopted, error) {
	s, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stats, err := s.Stats(ctx)
	if err != nil {
		return nil, err
	}
	var path string
	if err := s.DB().QueryRow(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		return nil, err
	}
	copied, err := newestCopy(path)
	return &adopted{CopyPath: copied, Generations: stats.TotalGenerations, Prompts: stats.TotalPrompts}, err
}

// newestCopy returns the path of the latest copy that an adoption kept beside the database. The names of later copies
// end with a number.
func newestCopy(path string) (newest string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	var made time.Time
	for _, entry := range entries {
		suffix, found := strings.CutPrefix(entry.Name(), filepath.Base(path)+".before-v2")
		if !found || suffix != "" && strings.Trim(suffix, "-0123456789") != "" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return "", err
		}
		if info.ModTime().After(made) {
			newest, made = filepath.Join(filepath.Dir(path), entry.Name()), info.ModTime()
		}
	}
	return newest, nil
}
