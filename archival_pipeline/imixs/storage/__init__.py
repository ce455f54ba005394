"""The places that backup files can be kept in: FTP with TLS, SFTP, S3, a folder.

``store`` says what a place must be able to do, ``opening`` chooses one by the settings. Every path is relative to the
root of the space, with slashes. Not here: which file goes where (``layout.py``).
"""
