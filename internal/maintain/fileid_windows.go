package maintain

import (
	"io/fs"
	"os"
	"syscall"
)

// identify returns the identity of a file, which Windows tells of an open file alone.
func identify(_ fs.FileInfo, open func() (*os.File, error)) (fileID, error) {
	file, err := open()
	if err != nil {
		return fileID{}, err
	}
	defer file.Close()
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(file.Fd()), &info); err != nil {
		return fileID{}, err
	}
	return fileID{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}, nil
}
